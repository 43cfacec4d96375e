# SPDX-License-Identifier: Apache-2.0
#
# What every target of the project shares: language, warnings, sanitizers, where results go; and the one way to
# declare a room's library and a test.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

# Results lie in one place a tree: OUTPUT/bin, OUTPUT/lib, OUTPUT/lib/vaccel/backends.
set(VACCEL_OUTPUT "${PROJECT_BINARY_DIR}" CACHE PATH "Folder for bin/ and lib/")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${VACCEL_OUTPUT}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${VACCEL_OUTPUT}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/archive")
set(VACCEL_BACKEND_OUTPUT "${VACCEL_OUTPUT}/lib/vaccel/backends")
set(VACCEL_BACKEND_INSTALL "${CMAKE_INSTALL_LIBDIR}/vaccel/backends")

add_library(vaccel_flags INTERFACE)
target_include_directories(vaccel_flags INTERFACE
  "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include" "${PROJECT_BINARY_DIR}/generated")
target_compile_options(vaccel_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror
                       -Wno-missing-field-initializers
                       -ffunction-sections -fdata-sections)
target_link_options(vaccel_flags INTERFACE -Wl,--gc-sections -Wl,-z,relro,-z,now)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees overflows inside libstdc++ that are not there.
  target_compile_options(vaccel_flags INTERFACE -Wno-error=stringop-overflow -Wno-error=stringop-overread
                         -Wno-error=array-bounds -Wno-error=restrict -Wno-error=maybe-uninitialized)
endif()
if(VACCEL_SANITIZE)
  target_compile_options(vaccel_flags INTERFACE -fsanitize=${VACCEL_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(vaccel_flags INTERFACE -fsanitize=${VACCEL_SANITIZE})
  if(VACCEL_SANITIZE MATCHES "undefined")
    target_compile_options(vaccel_flags INTERFACE -fno-sanitize-recover=all)
  endif()
endif()
if(VACCEL_BUILD_FUZZ)
  # Coverage for libFuzzer in everything that a target links.
  target_compile_options(vaccel_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# What is installed is optimised as a whole when it is linked: libvaccel.so is a sixth smaller so, and a call quicker. The
# rooms' objects hold machine code too, so that tests link without waiting for that.
set(VACCEL_LTO OFF)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT VACCEL_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(VACCEL_LTO ON)
  target_link_options(vaccel_flags INTERFACE $<$<NOT:$<BOOL:$<TARGET_PROPERTY:VACCEL_OPTIMISED_AT_LINK>>>:-fno-lto>)
endif()

# vaccel_optimise_at_link(TARGET): for programs and libraries that are installed.
function(vaccel_optimise_at_link target)
  if(VACCEL_LTO)
    set_target_properties(${target} PROPERTIES VACCEL_OPTIMISED_AT_LINK ON)
    target_compile_options(${target} PRIVATE -flto=auto -ffat-lto-objects)
    target_link_options(${target} PRIVATE -flto=auto)
  endif()
endfunction()

# vaccel_add_room(NAME sources... LIBS targets...): a static library of one room. All rooms are compiled without
# exceptions and RTTI when LEAN is given, as what goes into the guest library is. PLAIN: it is in nothing that is optimised
# at link, so it is not compiled for that as well.
function(vaccel_add_room name)
  cmake_parse_arguments(ROOM "LEAN;PLAIN" "" "LIBS" ${ARGN})
  add_library(${name} STATIC ${ROOM_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC vaccel_flags ${ROOM_LIBS})
  if(VACCEL_LTO AND NOT ROOM_PLAIN)
    target_compile_options(${name} PRIVATE -flto=auto -ffat-lto-objects)
  endif()
  if(ROOM_LEAN)
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>)
    # UBSan's vptr check and libstdc++'s RTTI users want RTTI; only the lean release does without.
    if(NOT VACCEL_SANITIZE)
      target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
    endif()
  endif()
endfunction()

# The environment of every test: no test finds an agent, or a host's vsock, by discovery.
set(VACCEL_TEST_ENVIRONMENT
  "VACCEL_ENDPOINT=unix:/nonexistent/vaccel-tests-name-their-endpoint"
  "VACCEL_TEST_BIN=${VACCEL_OUTPUT}/bin"
  "VACCEL_TEST_LIB=${VACCEL_OUTPUT}/lib"
  "VACCEL_TEST_PARTS=${VACCEL_PARTS}"
  "VACCEL_TEST_CATALOGUE=${VACCEL_CATALOGUE}"
  "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1"
  "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1"
  "TMPDIR=/tmp"
  # What OpenCL on a CPU compiles is kept for the next run.
  "POCL_CACHE_DIR=${PROJECT_BINARY_DIR}/tests/pocl")

# vaccel_add_test(NAME "label;label" sources... LIBS targets...): a GoogleTest executable and its ctest entry.
# Label tsan marks what also runs under ThreadSanitizer; the target tsan_tests builds these, and what they run.
function(vaccel_add_test name labels)
  if(NOT VACCEL_BUILD_TESTS)
    return()
  endif()
  find_package(GTest REQUIRED)
  cmake_parse_arguments(TEST "" "TIMEOUT" "LIBS" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300)
  endif()
  add_executable(${name} ${TEST_UNPARSED_ARGUMENTS})
  if(NOT TARGET tsan_tests)
    add_custom_target(tsan_tests)
  endif()
  if("tsan" IN_LIST labels)
    add_dependencies(tsan_tests ${name})
  endif()
  target_link_libraries(${name} PRIVATE ${TEST_LIBS} vaccel_flags GTest::gtest GTest::gtest_main)
  # A test's own source runs once; what it tests is compiled as it is shipped. Halves the time that tests take to build.
  target_compile_options(${name} PRIVATE -O0 -g1)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_compile_definitions(${name} PRIVATE VACCEL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT ${TEST_TIMEOUT}
                       ENVIRONMENT "${VACCEL_TEST_ENVIRONMENT}")
endfunction()

# vaccel_add_fuzzer(NAME source SEEDS folder LIBS targets...): a libFuzzer target, run for VACCEL_FUZZ_SECONDS by ctest,
# from a folder of seeds; what it finds interesting is kept in the build tree for the next run.
set(VACCEL_FUZZ_SECONDS 5 CACHE STRING "How long ctest runs each fuzz target")
function(vaccel_add_fuzzer name)
  if(NOT VACCEL_BUILD_FUZZ)
    return()
  endif()
  cmake_parse_arguments(FUZZ "" "SEEDS" "LIBS" ${ARGN})
  add_executable(${name} ${FUZZ_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${FUZZ_LIBS} vaccel_flags)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
  set(found "${PROJECT_BINARY_DIR}/fuzz/found/${name}")
  file(MAKE_DIRECTORY "${found}")
  add_test(NAME ${name} COMMAND ${name} -max_total_time=${VACCEL_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=2048
           -print_final_stats=1 "-artifact_prefix=${PROJECT_BINARY_DIR}/fuzz/${name}-" "${found}" "${FUZZ_SEEDS}")
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 600 ENVIRONMENT "${VACCEL_TEST_ENVIRONMENT}")
endfunction()

if(VACCEL_BUILD_TESTS)
  enable_testing()
endif()
