# Run by `cmake --install`: only now is it known for certain where the program lies (--prefix).
foreach(unit supervisor@.service supervisor.service)
  file(READ ${supervisor_sources}/${unit} text)
  string(REPLACE "=/usr/bin/supervisor " "=${supervisor_program} " text "${text}")
  file(WRITE "$ENV{DESTDIR}${supervisor_units}/${unit}" "${text}")
  message(STATUS "Installing: $ENV{DESTDIR}${supervisor_units}/${unit}")
endforeach()
