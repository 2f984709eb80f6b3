"""MVCTConvert: megavoltage and cone-beam CT to the quality of kilovoltage CT (Nakagawa, Ozaki, Kaji)."""
