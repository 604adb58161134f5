-- Of who adds a package and who removes one, the second sees what the first did to the wheels that both need.
lock table package_wheels in share row exclusive mode
