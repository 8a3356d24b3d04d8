#include "proxy/cli/new_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "proxy/cli/http_client.h"
#include "proxy/descriptor.h"

namespace sallyport::proxy::cli {

void write_new_file(const std::string& path, std::string_view text) {
    const descriptor file(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) {
        const bool there = errno == EEXIST;
        throw failure(refused, path + " cannot be written: " + std::strerror(errno),
                      there ? "Name another file with --output." : "Name a file with --output.");
    }
    if (write_durably(file.get(), text)) return;
    const std::string why = std::strerror(errno);
    ::unlink(path.c_str());
    throw failure(refused, path + " cannot be written: " + why, "Name a file with --output.");
}

}  // namespace sallyport::proxy::cli
