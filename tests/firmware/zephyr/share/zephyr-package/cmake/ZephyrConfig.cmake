# What find_package(Zephyr) does, for the application in the current folder and BOARD.
project(Standin C)
get_filename_component(ZEPHYR_BASE ${CMAKE_CURRENT_LIST_DIR}/../../.. ABSOLUTE)

set(settings ${CMAKE_CURRENT_SOURCE_DIR}/prj.conf)
string(REPLACE "/" "_" board_file "${BOARD}")
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/boards/${board_file}.conf)
  list(APPEND settings ${CMAKE_CURRENT_SOURCE_DIR}/boards/${board_file}.conf)
endif()
execute_process(
  COMMAND ${PYTHON} ${ZEPHYR_BASE}/configure.py ${CMAKE_BINARY_DIR} ${EXTRA_ZEPHYR_MODULES} -- ${settings}
  RESULT_VARIABLE failed ERROR_VARIABLE why OUTPUT_QUIET
)
if(failed)
  message(FATAL_ERROR "${why}")
endif()
include(${CMAKE_BINARY_DIR}/config.cmake)

add_library(zephyr_interface INTERFACE)
target_include_directories(zephyr_interface INTERFACE ${ZEPHYR_BASE}/include)
target_compile_options(zephyr_interface INTERFACE
  -std=c17 -Os -Wall -Wextra -Werror -imacros ${CMAKE_BINARY_DIR}/autoconf.h
)

function(zephyr_include_directories)
  target_include_directories(zephyr_interface INTERFACE ${ARGN})
endfunction()

function(zephyr_compile_definitions_ifdef feature)
  if(${feature})
    target_compile_definitions(zephyr_interface INTERFACE ${ARGN})
  endif()
endfunction()

macro(zephyr_library_named name)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
  add_library(${name} STATIC)
  target_link_libraries(${name} PUBLIC zephyr_interface)
  set_property(GLOBAL APPEND PROPERTY STANDIN_LIBRARIES ${name})
endmacro()

function(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()

function(zephyr_library_compile_options)
  target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endfunction()

function(zephyr_library_compile_definitions_ifdef feature)
  if(${feature})
    target_compile_definitions(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
  endif()
endfunction()

include(${CMAKE_BINARY_DIR}/modules.cmake)
get_property(libraries GLOBAL PROPERTY STANDIN_LIBRARIES)
add_executable(app ${ZEPHYR_BASE}/standin.c)
target_link_libraries(app PRIVATE zephyr_interface ${libraries} m)
