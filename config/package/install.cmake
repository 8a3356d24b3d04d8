# `cmake --install build/release --prefix …`, and `cpack -G DEB` in build/release.
include(GNUInstallDirs)
set(SALLYPORT_CONFIG_DIR /etc/sallyport CACHE STRING "Where the examples go")
set(here ${CMAKE_SOURCE_DIR}/config)

install(TARGETS sallyport RUNTIME DESTINATION bin)
install(FILES ${here}/sallyport.yaml ${here}/policy.yaml ${here}/users.yaml
  DESTINATION ${SALLYPORT_CONFIG_DIR}/examples)
install(FILES ${here}/package/default DESTINATION /etc/default RENAME sallyport)
install(FILES ${here}/sallyport.schema.json ${here}/policy.schema.json ${here}/users.schema.json
  DESTINATION share/sallyport)
install(DIRECTORY ${here}/prometheus DESTINATION share/sallyport)
install(FILES ${here}/package/copyright ${CMAKE_SOURCE_DIR}/README.md DESTINATION share/doc/sallyport)

# What depends on the prefix or on the program itself is made when it is installed.
install(CODE "set(source \"${here}\")\nset(program \"$<TARGET_FILE:sallyport>\")
  set(made \"${CMAKE_BINARY_DIR}/package/man\")")
install(CODE [[
  set(root "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")
  set(bindir "${CMAKE_INSTALL_PREFIX}/bin")
  configure_file("${source}/package/sallyport.service.in" "${root}/lib/systemd/system/sallyport.service" @ONLY)
  execute_process(COMMAND bash "${source}/man/make.sh" "${program}" "${made}" COMMAND_ERROR_IS_FATAL ANY)
  file(GLOB pages "${made}/*.[15]")
  foreach(page ${pages})
    get_filename_component(name "${page}" NAME)
    string(REGEX REPLACE ".*\\." "" section "${name}")
    file(MAKE_DIRECTORY "${root}/share/man/man${section}")
    execute_process(COMMAND gzip -9nc "${page}" OUTPUT_FILE "${root}/share/man/man${section}/${name}.gz"
      COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
  set(shells bash zsh fish)
  set(places share/bash-completion/completions/sallyport share/zsh/vendor-completions/_sallyport
             share/fish/vendor_completions.d/sallyport.fish)
  foreach(shell place IN ZIP_LISTS shells places)
    get_filename_component(folder "${root}/${place}" DIRECTORY)
    file(MAKE_DIRECTORY "${folder}")
    execute_process(COMMAND "${program}" completion ${shell} OUTPUT_FILE "${root}/${place}"
      COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
]])

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sallyport)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Sallyport maintainers <sallyport@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "guarded entrance to PostgreSQL")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
  "A proxy that clients reach instead of their database. It decides on each statement\nby rules; what touches a sensitive resource is held until somebody else approves\nit, unless a time-limited opt-out applies, and all of that is on record in a\ntamper-evident log.")
set(CPACK_SET_DESTDIR ON)          # /etc is not beneath the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.54)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS postgresql-client)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
configure_file(${here}/package/conffiles.in ${CMAKE_BINARY_DIR}/package/conffiles @ONLY)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/package/conffiles
  ${here}/package/postinst ${here}/package/prerm ${here}/package/postrm)
include(CPack)
