"""PelvicSeg: prostate, seminal vesicles, bladder and rectum on CT."""
