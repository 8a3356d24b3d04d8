#include "protocol/errors.h"

#include <string>

namespace sallyport::protocol {

std::string_view describe(errc e) noexcept {
    switch (e) {
        case errc::ok:
            return "no error";
        case errc::need_more:
            return "the message is not complete";
        case errc::bad_length:
            return "invalid message length";
        case errc::frame_too_large:
            return "message is larger than its type allows";
        case errc::unknown_tag:
            return "unknown message type";
        case errc::truncated:
            return "message ends inside a field";
        case errc::trailing_bytes:
            return "message has bytes after its last field";
        case errc::missing_terminator:
            return "text without a terminator";
        case errc::bad_kind:
            return "invalid kind of object";
        case errc::bad_format_code:
            return "invalid format codes";
        case errc::bad_count:
            return "invalid number of items";
        case errc::name_too_long:
            return "name is longer than 63 bytes";
        case errc::bad_value:
            return "field with an invalid value";
        case errc::bad_startup_layout:
            return "invalid layout of the startup packet";
        case errc::duplicate_parameter:
            return "startup parameter given twice";
        case errc::missing_user:
            return "no user name in the startup packet";
        case errc::control_character:
            return "control character in a name";
        case errc::bad_cancel_key:
            return "cancel key of an invalid length";
        case errc::sasl_syntax:
            return "malformed SCRAM message";
        case errc::sasl_extension:
            return "unsupported SCRAM extension";
        case errc::sasl_authorization_id:
            return "SCRAM authorization identity is not supported";
        case errc::sasl_nonce:
            return "invalid SCRAM nonce";
        case errc::sasl_iterations:
            return "SCRAM iteration count outside of the accepted range";
        case errc::sasl_base64:
            return "invalid base64 in a SCRAM message";
        case errc::sasl_channel_binding:
            return "unsupported SCRAM channel binding";
        case errc::sasl_text_too_long:
            return "SCRAM message is too long";
    }
    return "unknown protocol error";
}

namespace {

// Boost's base has a protected, non-virtual destructor on purpose: categories are never deleted
// through it. The compiler does not see that this class is final.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class category final : public boost::system::error_category {
  public:
    [[nodiscard]] const char* name() const noexcept override { return "sallyport.protocol"; }
    [[nodiscard]] std::string message(int value) const override {
        return std::string(describe(static_cast<errc>(value)));
    }
};
#pragma GCC diagnostic pop

}  // namespace

const boost::system::error_category& protocol_category() noexcept {
    static const category instance;
    return instance;
}

}  // namespace sallyport::protocol
