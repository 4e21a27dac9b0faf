# supervisor_add_app(NAME source...): builds NAME.so, an application that the supervisor program runs.
#
# The module links against nothing of the supervisor (host functions arrive in a table when it is loaded) and exports
# nothing but what SUPERVISOR_APP or SUPERVISOR_EXPORT marks. Add libraries of your own with target_link_libraries.
function(supervisor_add_app name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE supervisor::abi)
  set_target_properties(${name} PROPERTIES
    PREFIX ""
    SUFFIX ".so"
    POSITION_INDEPENDENT_CODE ON
    C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  if(NOT CMAKE_CXX_STANDARD)
    set_target_properties(${name} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
  endif()
endfunction()
