#include "proxy/logging.h"

#include <memory>
#include <string>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace sallyport::proxy {

namespace {

/// The message with everything escaped that a terminal or a JSON reader would act on.
class escaped_payload final : public spdlog::custom_flag_formatter {
  public:
    void format(const spdlog::details::log_msg& msg, const std::tm&,
                spdlog::memory_buf_t& dest) override {
        static constexpr char digits[] = "0123456789abcdef";
        std::string out;
        for (const char c : std::string_view(msg.payload.data(), msg.payload.size())) {
            const auto u = static_cast<unsigned char>(c);
            if (c == '"' || c == '\\') {
                out.push_back('\\');
                out.push_back(c);
            } else if (u < 0x20 || u == 0x7f) {
                out += "\\u00";
                out.push_back(digits[u >> 4]);
                out.push_back(digits[u & 15]);
            } else {
                out.push_back(c);
            }
        }
        dest.append(out.data(), out.data() + out.size());
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return spdlog::details::make_unique<escaped_payload>();
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
    formatter->add_flag<escaped_payload>('*').set_pattern(
        format == log_format::json
            ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%*"})"
            : "%Y-%m-%dT%H:%M:%S.%eZ %l %*");
    logger->set_formatter(std::move(formatter));
    logger->set_level(level_of(level));
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace sallyport::proxy
