#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "proxy/admin/api.h"
#include "proxy/admin/events.h"
#include "proxy/admin/server.h"

/// One HTTP connection, for server.cpp only: the only header here that includes Asio.
namespace sallyport::proxy::admin {

struct connection_limits {
    std::size_t header_bytes_max = 16u << 10;
    std::size_t body_bytes_max = 1u << 20;
    std::size_t requests_max = 10'000;  ///< then the connection ends
    std::size_t pending_events_max = 256;
    std::size_t drain_bytes_max = 2u << 20;  ///< of a refused request, read and thrown away
};

/// What connections share.
struct connection_owner {
    std::weak_ptr<boost::asio::io_context> loop;
    const server_options* options = nullptr;
    const api* handler = nullptr;
    event_hub* events = nullptr;
    std::size_t* event_streams = nullptr;  ///< open ones; the io_context's thread only
    std::map<std::string, std::size_t>* streams_of = nullptr;  ///< likewise, by person
    bool* stopping = nullptr;  ///< likewise: finish what is begun and close
    connection_limits limits;
};

/// Reads requests, one at a time, and writes their responses, until the peer or the owner ends it.
/// Lifecycle: owned by the server's list; run() is awaited by the server, which then forgets it.
/// All of it on the io_context's one thread; what other threads answer comes in by post().
class connection : public std::enable_shared_from_this<connection> {
  public:
    using socket = boost::beast::tcp_stream;

    /// `tls` null: plain.
    connection(boost::asio::ip::tcp::socket s, std::shared_ptr<boost::asio::ssl::context> tls,
               std::string address, connection_owner owner);
    /// Never throws. INVARIANT: `this` is kept alive by the caller until it has finished.
    boost::asio::awaitable<void> run();
    /// Ends it, now or when the request in progress is answered.
    enum class how : std::uint8_t { now, when_idle };
    void close(how h);
    [[nodiscard]] const std::string& address() const noexcept { return address_; }

  private:
    template <class Stream>
    boost::asio::awaitable<void> serve(Stream& stream);
    template <class Stream>
    boost::asio::awaitable<bool> one_request(Stream& stream);
    template <class Stream>
    boost::asio::awaitable<void> stream_events(Stream& stream, http_response head);
    struct reply_form {
        bool keep_alive = false;
        bool head = false;
    };
    template <class Stream>
    boost::asio::awaitable<bool> write(Stream& stream, http_response r, reply_form form);
    template <class Stream>
    boost::asio::awaitable<void> drain(Stream& stream);
    boost::asio::awaitable<http_response> ask(http_request request);
    boost::asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point t);

    /// Runs `f` on the loop's thread unless loop or connection is gone by then. Any thread.
    [[nodiscard]] std::function<void(std::function<void(connection&)>)> poster();
    [[nodiscard]] socket& lowest();

    std::shared_ptr<boost::asio::ssl::context> tls_context_;  ///< outlives tls_
    std::unique_ptr<socket> plain_;                           ///< one of these two
    std::unique_ptr<boost::beast::ssl_stream<socket>> tls_;
    std::string address_;
    std::optional<std::string> certificate_;  ///< subject, where certificates are asked for
    connection_owner owner_;
    boost::beast::flat_buffer buffer_;
    boost::asio::steady_timer wake_;  ///< expires or is cancelled: something came
    std::optional<http_response> answer_;
    std::uint64_t question_ =
        0;  ///< number of the newest request; late answers to others are dropped
    std::deque<std::string> events_;
    std::size_t requests_ = 0;
    bool idle_ = true;
    bool closing_ = false;     ///< no further request
    bool closed_ = false;      ///< nothing further at all
    bool overflowed_ = false;  ///< the reader of an event stream is too slow
};

}  // namespace sallyport::proxy::admin
