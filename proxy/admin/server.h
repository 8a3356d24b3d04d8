#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "proxy/access_settings.h"
#include "proxy/admin/dependencies.h"
#include "proxy/admin/events.h"

struct ssl_st;  // OpenSSL's SSL

/// The HTTP(S) server of the admin API.
namespace sallyport::proxy::admin {

struct server_options {
    std::string address = "127.0.0.1";
    std::uint16_t port = 6480;  ///< 0: any free one; see server::port()
    /// How people reach it ("https://sallyport.example:6480"): its host is accepted in Host and
    /// Origin.
    /// "": only localhost, 127.0.0.1, [::1] and `address` are.
    std::string url;
    struct {
        std::string certificate;  ///< PEM chain; empty: no TLS
        std::string key;
        /// PEM: every client must show a certificate of this authority; "" = none is asked for.
        std::string client_ca;
        [[nodiscard]] bool on() const noexcept { return !certificate.empty(); }
    } tls;
    /// Without TLS only loopback addresses can be bound, unless this is set (TLS ends in front of
    /// us).
    bool plain_beyond_loopback = false;
    std::size_t connections_max = 256;
    std::size_t event_streams_max = 64;
    std::chrono::milliseconds request_timeout{15'000};  ///< from first byte to whole request
    std::chrono::milliseconds keep_alive_timeout{60'000};
    std::chrono::milliseconds answer_timeout{30'000};  ///< for the proxy to find its answer
    std::chrono::milliseconds event_ping_interval{15'000};
    access_settings access{};
    /// The subject of the certificate that the peer of a handshake showed; nullopt: none that can
    /// be an identity. Needed with tls.client_ca.
    std::function<std::optional<std::string>(ssl_st*)> certificate_subject{};
};

/// One thread for the sockets, two for what blocks (passwords, audit search, reload).
/// Lifecycle: the constructor binds and listens, start() accepts, stop() (or the destructor) lets
/// requests in progress finish for at most two seconds, closes and joins.
/// Errors: the constructor throws std::runtime_error with one line: address, port, cause, next
/// step.
class server {
  public:
    /// `events` must outlive the server; `d`'s functions must stay callable until stop() returns.
    server(server_options options, dependencies d, event_hub& events);
    ~server();
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    void start();
    void stop();
    [[nodiscard]] std::uint16_t port() const noexcept;
    /// Reads a certificate and its key; connections made from now on use them. Returns "" or why
    /// not (the old ones stay). A server that began without TLS stays without.
    /// A client_ca can be replaced by another, not added or left out.
    [[nodiscard]] std::string reload_tls(const std::string& certificate, const std::string& key,
                                         const std::string& client_ca = {});
    /// For requests from now on. Any thread.
    void set_access(access_settings a);
    /// What /readyz answers beyond the steward's health; main sets false while draining. Any
    /// thread.
    void set_ready(bool ready) noexcept;

  private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace sallyport::proxy::admin
