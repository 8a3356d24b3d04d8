#include "proxy/admin/connection.h"

#include <algorithm>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

#include "proxy/admin/dto.h"

namespace sallyport::proxy::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using parser = http::request_parser<http::string_body>;

auto quietly(error_code& error) {
    return asio::redirect_error(asio::use_awaitable, error);
}

http_request to_request(parser& p, const std::string& address) {
    auto message = p.release();
    http_request out;
    out.method = std::string(message.method_string());
    out.target = std::string(message.target());
    for (const auto& field : message)
        out.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    out.body = std::move(message.body());
    out.address = address;
    return out;
}

/// What to answer before hanging up on bytes that are no request; status 0: nothing.
problem broken_request(const error_code& error) {
    if (error == http::error::header_limit)
        return {431, "header-too-large", "The header has more than 16 KiB.", "Send less of it."};
    if (error == http::error::body_limit)
        return {413, "body-too-large", "The body has more than 1 MiB.", "Send less."};
    if (error == http::error::end_of_stream || error == http::error::partial_message ||
        error.category() != http::make_error_code(http::error::end_of_stream).category())
        return {0, {}, {}, {}};
    return {400, "http", "This is not a valid HTTP request.", "Use an HTTP/1.1 client."};
}

/// Takes one listener off the hub, however its stream ends.
class subscription {
  public:
    subscription(event_hub& hub, event_hub::listener f)
        : hub_(hub), id_(hub.subscribe(std::move(f))) {}
    ~subscription() { hub_.unsubscribe(id_); }
    subscription(const subscription&) = delete;
    subscription& operator=(const subscription&) = delete;

  private:
    event_hub& hub_;
    std::uint64_t id_;
};

/// One more of what somebody has, as long as this lives.
class counted_for {
  public:
    counted_for(std::map<std::string, std::size_t>& all, std::string whose)
        : all_(all), whose_(std::move(whose)) {
        ++all_[whose_];
    }
    ~counted_for() {
        const auto at = all_.find(whose_);
        if (at != all_.end() && --at->second == 0) all_.erase(at);
    }
    counted_for(const counted_for&) = delete;
    counted_for& operator=(const counted_for&) = delete;

  private:
    std::map<std::string, std::size_t>& all_;
    std::string whose_;
};

class counted {
  public:
    explicit counted(std::size_t& n) : n_(n) { ++n_; }
    ~counted() { --n_; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;

  private:
    std::size_t& n_;
};

}  // namespace

connection::connection(asio::ip::tcp::socket s, std::shared_ptr<asio::ssl::context> tls,
                       std::string address, connection_owner owner)
    : tls_context_(std::move(tls)),
      address_(std::move(address)),
      owner_(std::move(owner)),
      wake_(s.get_executor()) {
    auto plain = std::make_unique<socket>(std::move(s));
    if (tls_context_)
        tls_ = std::make_unique<beast::ssl_stream<socket>>(std::move(*plain), *tls_context_);
    else
        plain_ = std::move(plain);
}

connection::socket& connection::lowest() {
    return tls_ ? beast::get_lowest_layer(*tls_) : *plain_;
}

std::function<void(std::function<void(connection&)>)> connection::poster() {
    return [loop = owner_.loop, weak = weak_from_this()](std::function<void(connection&)> f) {
        const auto alive = loop.lock();
        if (!alive) return;
        asio::post(*alive, [weak, f = std::move(f)] {
            if (const auto self = weak.lock()) f(*self);
        });
    };
}

void connection::close(how h) {
    closing_ = true;
    if (h == how::now) closed_ = true;
    if (h == how::now || idle_) lowest().close();
    wake_.cancel();
}

asio::awaitable<void> connection::run() {
    try {
        if (!tls_) {
            co_await serve(*plain_);
        } else {
            error_code error;
            lowest().expires_after(owner_.options->request_timeout);
            co_await tls_->async_handshake(asio::ssl::stream_base::server, quietly(error));
            if (!error && !owner_.options->tls.client_ca.empty()) {
                certificate_ = owner_.options->certificate_subject
                                   ? owner_.options->certificate_subject(tls_->native_handle())
                                   : std::nullopt;
                // Shown and verified, but no name that somebody could have.
                if (!certificate_) closed_ = true;
            }
            if (!error && !closed_) co_await serve(*tls_);
            if (!error && !closed_) {
                lowest().expires_after(std::chrono::seconds(1));
                co_await tls_->async_shutdown(quietly(error));
            }
        }
    } catch (const std::exception&) {
        // Out of memory at worst; the connection ends and its peer sees that.
        closed_ = true;
    }
    lowest().close();
}

template <class Stream>
asio::awaitable<void> connection::serve(Stream& stream) {
    while (!closing_ && !*owner_.stopping && requests_ < owner_.limits.requests_max) {
        const bool more = co_await one_request(stream);
        if (!more) break;
    }
}

template <class Stream>
asio::awaitable<bool> connection::one_request(Stream& stream) {
    error_code error;
    if (buffer_.size() == 0) {
        idle_ = true;
        lowest().expires_after(requests_ == 0 ? owner_.options->request_timeout
                                              : owner_.options->keep_alive_timeout);
        const auto room = buffer_.prepare(4096);
        const auto got = co_await stream.async_read_some(room, quietly(error));
        idle_ = false;
        if (error) co_return false;
        buffer_.commit(got);
    }
    ++requests_;
    lowest().expires_after(owner_.options->request_timeout);
    parser p;
    p.header_limit(static_cast<std::uint32_t>(owner_.limits.header_bytes_max));
    p.body_limit(owner_.limits.body_bytes_max);
    co_await http::async_read_header(stream, buffer_, p, quietly(error));
    if (!error && beast::iequals(p.get()[http::field::expect], "100-continue")) {
        static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        co_await asio::async_write(stream, asio::buffer(go_on), quietly(error));
    }
    if (!error && !p.is_done()) co_await http::async_read(stream, buffer_, p, quietly(error));
    if (error) {
        const auto why = broken_request(error);
        if (why.status == 0) co_return false;
        auto r = to_response(why);
        add_security_headers(r, owner_.handler->context().options);
        co_await write(stream, std::move(r), reply_form{});
        co_await drain(stream);
        co_return false;
    }
    reply_form form;
    form.keep_alive = p.get().keep_alive() && !closing_ && !*owner_.stopping;
    form.head = p.get().method() == http::verb::head;
    auto request = to_request(p, address_);
    request.certificate = certificate_;
    auto r = co_await ask(std::move(request));
    if (closed_) co_return false;
    if (r.stream && !form.head) {
        co_await stream_events(stream, std::move(r));
        co_return false;
    }
    co_return co_await write(stream, std::move(r), form);
}

template <class Stream>
asio::awaitable<void> connection::drain(Stream& stream) {
    // Closing with unread bytes would reset the connection, and the answer would be lost with it.
    error_code error;
    lowest().socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
    lowest().expires_after(std::chrono::seconds(1));
    buffer_.clear();
    for (std::size_t left = owner_.limits.drain_bytes_max; left > 0 && !error && !closed_;) {
        const auto room = buffer_.prepare(4096);
        const auto got = co_await stream.async_read_some(room, quietly(error));
        left -= std::min(left, got);
    }
}

asio::awaitable<void> connection::wait_until(std::chrono::steady_clock::time_point t) {
    error_code ignored;
    wake_.expires_at(t);
    co_await wake_.async_wait(quietly(ignored));
}

asio::awaitable<http_response> connection::ask(http_request request) {
    answer_.reset();
    const auto number = ++question_;
    owner_.handler->handle(std::move(request), [post = poster(), number](http_response r) {
        auto shared = std::make_shared<http_response>(std::move(r));
        post([shared, number](connection& self) {
            if (self.question_ != number || self.answer_) return;
            self.answer_ = std::move(*shared);
            self.wake_.cancel();
        });
    });
    // A peer that leaves meanwhile is noticed when the answer is written.
    lowest().expires_never();
    const auto deadline = std::chrono::steady_clock::now() + owner_.options->answer_timeout;
    while (!answer_ && !closed_ && std::chrono::steady_clock::now() < deadline)
        co_await wait_until(deadline);
    if (answer_) co_return std::move(*answer_);
    ++question_;
    auto late = to_response(problem{504, "timeout", "The proxy found no answer in time.",
                                    "Look whether it took effect, then retry."});
    add_security_headers(late, owner_.handler->context().options);
    co_return late;
}

template <class Stream>
asio::awaitable<bool> connection::write(Stream& stream, http_response r, reply_form form) {
    http::response<http::string_body> out;
    out.version(11);
    out.result(r.status);
    out.set(http::field::content_type, r.content_type);
    for (auto& [name, value] : r.headers)
        out.insert(name, value);
    out.keep_alive(form.keep_alive);
    out.content_length(r.body.size());
    if (!form.head) out.body() = std::move(r.body);
    error_code error;
    lowest().expires_after(owner_.options->request_timeout);
    co_await http::async_write(stream, out, quietly(error));
    co_return !error && form.keep_alive;
}

template <class Stream>
asio::awaitable<void> connection::stream_events(Stream& stream, http_response head) {
    if (*owner_.event_streams >= owner_.options->event_streams_max) {
        auto r = to_response(problem{503, "busy", "Too many event streams are open.",
                                     "Close one, or ask for the lists now and then."});
        add_security_headers(r, owner_.handler->context().options);
        co_await write(stream, std::move(r), reply_form{});
        co_return;
    }
    const auto& person = head.stream->person;
    const auto hers = owner_.streams_of->find(person);
    if (head.stream->per_person_max != 0 && hers != owner_.streams_of->end() &&
        hers->second >= head.stream->per_person_max) {
        auto r = to_response(problem{429, "too-many-streams", "You have too many event streams.",
                                     "Close one, then try again."});
        r.headers.emplace_back("Retry-After", "5");
        add_security_headers(r, owner_.handler->context().options);
        co_await write(stream, std::move(r), reply_form{});
        co_return;
    }
    const counted one(*owner_.event_streams);
    const counted_for another(*owner_.streams_of, person);
    const auto what = head.stream;
    const auto post = poster();
    const auto queue = [post](const approval::steward::change_event& e) {
        post([text = "event: change\ndata: " + event_json(e) + "\n\n"](connection& self) {
            if (self.events_.size() >= self.owner_.limits.pending_events_max)
                self.overflowed_ = true;
            else
                self.events_.push_back(text);
            self.wake_.cancel();
        });
    };
    const subscription listening(*owner_.events,
                                 [post, queue, what](const approval::steward::change_event& e) {
                                     post([e, queue, what](connection&) {
                                         what->visible(e, [e, queue](bool visible) {
                                             if (visible) queue(e);
                                         });
                                     });
                                 });

    // No length and no chunks: the stream is the rest of the connection.
    std::string text =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n";
    for (const auto& [name, value] : head.headers)
        text += name + ": " + value + "\r\n";
    text += "\r\n: listening\n\n";
    // All that a listener has to send is her end: her place is free at once.
    lowest().socket().async_wait(asio::ip::tcp::socket::wait_read,
                                 [weak = weak_from_this()](const error_code&) {
                                     const auto self = weak.lock();
                                     if (!self) return;
                                     self->closing_ = true;
                                     self->wake_.cancel();
                                 });
    while (!closing_) {
        error_code error;
        lowest().expires_after(owner_.options->request_timeout);
        co_await asio::async_write(stream, asio::buffer(text), quietly(error));
        lowest().expires_never();
        if (error || closing_ || overflowed_ || !what->still_logged_in()) break;
        if (events_.empty())
            co_await wait_until(std::chrono::steady_clock::now() +
                                owner_.options->event_ping_interval);
        text = events_.empty() ? ": ping\n\n" : "";
        for (const auto& e : events_)
            text += e;
        events_.clear();
        if (!what->still_logged_in()) break;
    }
}

}  // namespace sallyport::proxy::admin
