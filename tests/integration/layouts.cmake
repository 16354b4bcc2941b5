# Layouts against headers, line decoders against the interpreters themselves.
add_executable(line_table_probe
  ${CMAKE_CURRENT_LIST_DIR}/line_table_probe.cpp ${PROJECT_SOURCE_DIR}/src/cpython/line_table.cpp)
target_link_libraries(line_table_probe PRIVATE sampler_options)
# Ten million lookups take minutes unoptimised.
target_compile_options(line_table_probe PRIVATE -O2)

find_program(SAMPLER_TEST_PYTHON python3 HINTS /usr/bin REQUIRED)
foreach(name layouts line_tables)
  add_test(NAME integration.${name} COMMAND ${SAMPLER_TEST_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/test_${name}.py)
  set_tests_properties(integration.${name} PROPERTIES
    LABELS integration TIMEOUT 600
    ENVIRONMENT "SAMPLER_LINE_TABLE_PROBE=$<TARGET_FILE:line_table_probe>;PYTHONDONTWRITEBYTECODE=1")
endforeach()
