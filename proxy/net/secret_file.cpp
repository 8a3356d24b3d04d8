#include "proxy/net/secret_file.h"

#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

namespace sallyport::proxy::net {

std::string secret_file_fault(const std::string& path) {
    struct stat s {};
    if (::stat(path.c_str(), &s) != 0)
        return "cannot read " + path + ": " + std::strerror(errno) +
               "; check the path and that this user may read it";
    if (!S_ISREG(s.st_mode)) return path + " is not a regular file; name a file here";
    if (s.st_uid != 0 && s.st_uid != ::geteuid())
        return path +
               " belongs to another user; it must belong to the user that runs sallyport, or "
               "to root";
    const mode_t forbidden =
        s.st_uid == 0 ? mode_t{S_IWGRP | S_IXGRP | S_IRWXO} : mode_t{S_IRWXG | S_IRWXO};
    if ((s.st_mode & forbidden) != 0)
        return path + " is open to other users; run: chmod 0600 " + path;
    if (::access(path.c_str(), R_OK) != 0)
        return "cannot read " + path + ": " + std::strerror(errno) +
               "; give this user read permission";
    return {};
}

}  // namespace sallyport::proxy::net
