#include "proxy/logging.h"

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "proxy/log_ids.h"
#include "proxy/visible.h"

namespace sallyport::proxy {

namespace {

/// As the inside of a JSON string: what would act on a terminal or a reader's eye is written out,
/// what is not UTF-8 becomes U+FFFD.
void append_escaped(std::string_view text, spdlog::memory_buf_t& dest) {
    std::string out;
    out.reserve(text.size());
    std::array<char, 16> hex{};
    const auto unit = [&](unsigned value) {
        std::snprintf(hex.data(), hex.size(), "\\u%04x", value);
        out += hex.data();
    };
    for (std::size_t at = 0; at < text.size();) {
        const auto c = decode_utf8(text, at);
        const auto value = static_cast<unsigned>(c.value);
        if (!c.valid) {
            unit(0xFFFD);
        } else if (c.value == U'"' || c.value == U'\\') {
            out.push_back('\\');
            out.push_back(static_cast<char>(c.value));
        } else if (!acts_unseen(c.value)) {
            out += text.substr(at, c.bytes);
        } else if (value < 0x10000) {
            unit(value);
        } else {
            unit(0xD800 + ((value - 0x10000) >> 10));
            unit(0xDC00 + ((value - 0x10000) & 0x3FF));
        }
        at += c.bytes;
    }
    dest.append(out.data(), out.data() + out.size());
}

class escaped_payload final : public spdlog::custom_flag_formatter {
  public:
    void format(const spdlog::details::log_msg& msg, const std::tm&,
                spdlog::memory_buf_t& dest) override {
        append_escaped({msg.payload.data(), msg.payload.size()}, dest);
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return spdlog::details::make_unique<escaped_payload>();
    }
};

/// What the line is about, as further members: ,"session":"7","hold":"3"
class members final : public spdlog::custom_flag_formatter {
  public:
    void format(const spdlog::details::log_msg&, const std::tm&,
                spdlog::memory_buf_t& dest) override {
        log_ids::each([&](std::string_view name, std::string_view value) {
            const auto add = [&](std::string_view text) {
                dest.append(text.data(), text.data() + text.size());
            };
            add(",\"");
            add(name);
            add("\":\"");
            append_escaped(value, dest);
            add("\"");
        });
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return spdlog::details::make_unique<members>();
    }
};

spdlog::level::level_enum level_of(log_level l) {
    switch (l) {
        case log_level::trace:
            return spdlog::level::trace;
        case log_level::debug:
            return spdlog::level::debug;
        case log_level::info:
            return spdlog::level::info;
        case log_level::warn:
            return spdlog::level::warn;
        case log_level::error:
            return spdlog::level::err;
    }
    return spdlog::level::info;
}

}  // namespace

void set_up_logging(log_level level, log_format format) {
    auto logger = std::make_shared<spdlog::logger>(
        "sallyport", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    formatter->add_flag<escaped_payload>('*').add_flag<members>('&').set_pattern(
        format == log_format::json
            ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%*"%&})"
            : "%Y-%m-%dT%H:%M:%S.%eZ %l %*");
    logger->set_formatter(std::move(formatter));
    logger->set_level(level_of(level));
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace sallyport::proxy
