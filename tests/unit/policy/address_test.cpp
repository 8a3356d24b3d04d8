#include "policy/address.h"

#include <string>

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

bool inside(const char* network_text, const char* address_text) {
    const auto n = parse_network(network_text);
    const auto a = parse_address(address_text);
    EXPECT_TRUE(n) << network_text;
    EXPECT_TRUE(a) << address_text;
    return n && a && n->contains(*a);
}

TEST(networks, prefix_decides_who_is_inside) {
    EXPECT_TRUE(inside("10.0.0.0/8", "10.255.1.2"));
    EXPECT_FALSE(inside("10.0.0.0/8", "11.0.0.0"));
    EXPECT_TRUE(inside("192.168.1.128/25", "192.168.1.200"));
    EXPECT_FALSE(inside("192.168.1.128/25", "192.168.1.127"));
    EXPECT_TRUE(inside("0.0.0.0/0", "203.0.113.9"));
    EXPECT_TRUE(inside("192.0.2.7", "192.0.2.7"));
    EXPECT_FALSE(inside("192.0.2.7", "192.0.2.6"));
    EXPECT_TRUE(inside("2001:db8::/32", "2001:db8:1::7"));
    EXPECT_FALSE(inside("2001:db8::/32", "2001:db9::"));
    EXPECT_TRUE(inside("::1", "::1"));
    EXPECT_TRUE(inside("fe80::/10", "fe80::1%eth0"));
}

TEST(networks, families_do_not_mix_but_mapped_addresses_are_ipv4) {
    EXPECT_FALSE(inside("0.0.0.0/0", "::1"));
    EXPECT_FALSE(inside("::/0", "10.0.0.1"));
    EXPECT_TRUE(inside("10.0.0.0/8", "::ffff:10.1.2.3"));
    EXPECT_TRUE(inside("10.0.0.0/8", "::ffff:a01:203"));
    EXPECT_TRUE(inside("::ffff:10.0.0.0/104", "10.1.2.3"));
}

TEST(networks, malformed_text_is_refused) {
    for (const char* text : {"",
                             "10.0.0",
                             "10.0.0.0.0",
                             "10.0.0.256",
                             "010.0.0.1",
                             "10.0.0.1 ",
                             "10.0.0.0/33",
                             "10.0.0.0/",
                             "10.0.0.0/-1",
                             "10.0.0.0/08",
                             "10.0.0.1/8",
                             "::1/127",
                             "1::2::3",
                             ":::",
                             "1:2:3:4:5:6:7",
                             "1:2:3:4:5:6:7:8:9",
                             "::12345",
                             "fe80::1%eth0",
                             "::ffff:1.2.3",
                             "g::",
                             "1.2.3.4:5::",
                             "::/129",
                             "1:2:3:4:5:6:7::8",
                             ":1:2:3:4:5:6:7",
                             "1:2:3:4:5:6:7:"})
        EXPECT_FALSE(parse_network(text)) << text;
    EXPECT_FALSE(parse_address(std::string(1000, ':')));
}

}  // namespace
}  // namespace sallyport::policy
