# The macros of a scripted extension. Stricter than Slicer's own: a word that no keyword takes, a file that is not
# there, a file named twice or in the wrong list, and a module without a file of its name stop the configuration.
include_guard(GLOBAL)
include(CTest)

set(EXTENSION_NAME ${PROJECT_NAME})

# An error unless every word was taken by a keyword and every required keyword has a value.
function(stand_in_check_arguments macro prefix)
  if(${prefix}_UNPARSED_ARGUMENTS OR ${prefix}_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "${macro}: unknown '${${prefix}_UNPARSED_ARGUMENTS}', "
      "without a value '${${prefix}_KEYWORDS_MISSING_VALUES}'")
  endif()
  foreach(required IN LISTS ARGN)
    if("${${prefix}_${required}}" STREQUAL "")
      message(FATAL_ERROR "${macro}: ${required} is mandatory")
    endif()
  endforeach()
endfunction()

# An error unless the files are there, below this folder, once each, and Python files are named as such.
function(stand_in_check_files kind)
  foreach(file IN LISTS ARGN)
    if(IS_ABSOLUTE ${file} OR file MATCHES "\\.\\." OR IS_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "${kind}: '${file}' is not a file below the folder")
    endif()
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "${kind}: '${file}' does not exist")
    endif()
    if((kind STREQUAL SCRIPTS) AND (NOT file MATCHES "\\.py$") OR (kind STREQUAL RESOURCES) AND (file MATCHES "\\.py$"))
      message(FATAL_ERROR "${kind}: '${file}' belongs in the other list")
    endif()
  endforeach()
  set(unique ${ARGN})
  list(REMOVE_DUPLICATES unique)
  if(NOT "${unique}" STREQUAL "${ARGN}")
    message(FATAL_ERROR "${kind}: a file is named twice")
  endif()
endfunction()

macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  stand_in_check_arguments(slicerMacroBuildScriptedModule MY NAME SCRIPTS)
  stand_in_check_files(SCRIPTS ${MY_SCRIPTS})
  stand_in_check_files(RESOURCES ${MY_RESOURCES})
  stand_in_copy_and_install()
  if(BUILD_TESTING AND MY_WITH_GENERIC_TESTS)
    add_test(NAME py_nomainwindow_qSlicer${MY_NAME}ModuleGenericTest COMMAND ${Slicer_LAUNCHER_EXECUTABLE})
  endif()
endmacro()

# Files go to the build tree when it is built, with their folders; the build tree's folder is what gets installed.
# WITH_SUBDIR puts them, and installs, one folder further down: that of the source folder's name.
macro(stand_in_copy_and_install)
  set(destination ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR})
  if(MY_WITH_SUBDIR)
    get_filename_component(subdir ${CMAKE_CURRENT_SOURCE_DIR} NAME)
    string(APPEND destination /${subdir})
    set(to_install ${destination})
  elseif(NOT "${MY_NAME}.py" IN_LIST MY_SCRIPTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: SCRIPTS of the module ${MY_NAME} lack ${MY_NAME}.py")
  else()
    set(to_install ${destination}/)
  endif()
  set(copied)
  foreach(file IN LISTS MY_SCRIPTS MY_RESOURCES)
    add_custom_command(
      OUTPUT ${destination}/${file}
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file}
      COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_SOURCE_DIR}/${file} ${destination}/${file}
      )
    list(APPEND copied ${destination}/${file})
  endforeach()
  add_custom_target(Copy${MY_NAME}PythonFiles ALL DEPENDS ${copied})
  install(DIRECTORY ${to_install}
    DESTINATION ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR} COMPONENT RuntimeLibraries USE_SOURCE_PERMISSIONS)
endmacro()

macro(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS" ${ARGN})
  stand_in_check_arguments(slicer_add_python_unittest MY SCRIPT)
  stand_in_check_files(SCRIPTS ${MY_SCRIPT})
  get_filename_component(test ${MY_SCRIPT} NAME_WE)
  add_test(
    NAME py_${MY_TESTNAME_PREFIX}${test}
    COMMAND ${Slicer_LAUNCHER_EXECUTABLE} --no-splash --testing ${MY_SLICER_ARGS}
      --additional-module-paths ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}
      --python-code "import slicer.testing\\; slicer.testing.runUnitTest(['${CMAKE_CURRENT_BINARY_DIR}', '${CMAKE_CURRENT_SOURCE_DIR}'], '${test}')"
    )
endmacro()
