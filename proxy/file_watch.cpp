#include "proxy/file_watch.h"

#include <chrono>
#include <utility>

#include <sys/stat.h>

namespace sallyport::proxy {

file_watch::file_watch(boost::asio::io_context& io, std::function<void()> changed)
    : timer_(io), changed_(std::move(changed)) {}

void file_watch::set_files(std::vector<std::string> paths) {
    // What has changed since the last look is still to be told.
    if (paths == paths_) return;
    const bool running = !paths_.empty();
    paths_ = std::move(paths);
    told_ = last_ = look();
    if (paths_.empty())
        timer_.cancel();
    else if (!running)
        arm();
}

std::string file_watch::look() const {
    std::string seen;
    for (const auto& path : paths_) {
        struct stat s {};
        if (stat(path.c_str(), &s) != 0) {
            seen += "-;";
            continue;
        }
        for (const long long part :
             {static_cast<long long>(s.st_dev), static_cast<long long>(s.st_ino),
              static_cast<long long>(s.st_size), static_cast<long long>(s.st_mtim.tv_sec),
              static_cast<long long>(s.st_mtim.tv_nsec)})
            seen += std::to_string(part) + ",";
        seen += ';';
    }
    return seen;
}

void file_watch::arm() {
    timer_.expires_after(std::chrono::seconds(1));
    timer_.async_wait([this](boost::system::error_code ec) {
        if (ec || paths_.empty()) return;
        auto seen = look();
        const bool rests = seen == last_;
        last_ = std::move(seen);
        if (rests && last_ != told_) {
            told_ = last_;
            changed_();
        }
        arm();
    });
}

}  // namespace sallyport::proxy
