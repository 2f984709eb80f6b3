# Slicer writes the description that the Extensions Manager shows and makes the package. Here the description is
# written, one "NAME value" a line, lists with blanks between their items.
if(NOT EXISTS ${CMAKE_BINARY_DIR}/${EXTENSION_NAME}Config.cmake)
  message(FATAL_ERROR "include(\${Slicer_EXTENSION_GENERATE_CONFIG}) comes first")
endif()
set(description)
foreach(name HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS KEYWORDS)
  string(REPLACE ";" " " value "${EXTENSION_${name}}")
  if(value STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${name} is not set")
  endif()
  string(APPEND description "${name} ${value}\n")
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/${EXTENSION_NAME}.s4ext "${description}")
