#include "tests/support/server_phases.h"

namespace sallyport::tests {
namespace server_wire {
namespace {
const std::string nul(1, '\0');
}

std::string ready(char status) {
    return wire::frame('Z', std::string(1, status));
}

std::string complete(std::string_view tag) {
    return wire::frame('C', std::string(tag) + nul);
}

std::string row_description(std::string_view column) {
    return wire::frame('T', wire::int16(1) + std::string(column) + nul + wire::int32(0) +
                                wire::int16(0) + wire::int32(25) + wire::int16(-1) +
                                wire::int32(0xffffffffU) + wire::int16(0));
}

std::string row(std::string_view value) {
    return wire::frame('D', wire::int16(1) + wire::int32(static_cast<std::uint32_t>(value.size())) +
                                std::string(value));
}

std::string parameter_status(std::string_view name, std::string_view value) {
    return wire::frame('S', std::string(name) + nul + std::string(value) + nul);
}

std::string error(std::string_view sqlstate, std::string_view text, std::string_view severity) {
    return wire::frame('E', "S" + std::string(severity) + nul + "V" + std::string(severity) + nul +
                                "C" + std::string(sqlstate) + nul + "M" + std::string(text) + nul +
                                nul);
}

std::string notice(std::string_view text) {
    return wire::frame('N', "SNOTICE" + nul + "VNOTICE" + nul + "C00000" + nul + "M" +
                                std::string(text) + nul + nul);
}

std::string one_row(std::string_view value) {
    return row_description() + row(value) + complete("SELECT 1") + ready();
}

std::string header(char type, std::uint32_t body_bytes) {
    return type + wire::int32(body_bytes + 4);
}

}  // namespace server_wire

void answer(hostile_connection& c, char type) {
    switch (type) {
        case 'Q':
            return c.send(server_wire::one_row("1"));
        case 'P':
            return c.send(wire::frame('1', ""));
        case 'B':
            return c.send(wire::frame('2', ""));
        case 'C':
            return c.send(wire::frame('3', ""));
        case 'D':
            return c.send(wire::frame('n', ""));
        case 'E':
            return c.send(server_wire::complete("SELECT 0"));
        case 'S':
            return c.send(server_wire::ready());
        default:
            return;
    }
}

hostile_server::script play(server_phases phases) {
    return [phases](hostile_connection& c) {
        constexpr std::string_view cancel_code("\x04\xd2\x16\x2e", 4);
        constexpr std::string_view ssl_code("\x04\xd2\x16\x2f", 4);
        std::string packet;
        for (;;) {
            packet = c.read_startup();
            if (packet.substr(4, 4) != ssl_code) break;
            if (phases.on_ssl_request)
                phases.on_ssl_request(c);
            else
                c.send("N");
        }
        if (packet.substr(4, 4) == cancel_code) {
            if (phases.on_cancel) phases.on_cancel(c, packet);
            return;
        }
        if (phases.log_in)
            phases.log_in(c);
        else
            c.accept_login();
        for (;;) {
            const auto [type, body] = c.read_message();
            if (type == 'X') return;
            if (phases.on_message && phases.on_message(c, type, body)) continue;
            answer(c, type);
        }
    };
}

}  // namespace sallyport::tests
