#pragma once

#include <functional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

/// Tells when one of some files has become another, for `watch: true`.
namespace sallyport::proxy {

/// Looks at the files once a second (by path, so that a link that is switched counts) and reports a
/// change once they have not changed for one second more: half-written files are not read.
/// Concurrency: everything on the io_context's thread.
class file_watch {
  public:
    file_watch(boost::asio::io_context& io, std::function<void()> changed);
    /// Begins, or goes on with other files; none: stops.
    void set_files(std::vector<std::string> paths);

  private:
    /// What is different when a file is.
    [[nodiscard]] std::string look() const;
    void arm();

    boost::asio::steady_timer timer_;
    std::function<void()> changed_;
    std::vector<std::string> paths_;
    std::string told_;  // as of the last report
    std::string last_;  // as of the last look
};

}  // namespace sallyport::proxy
