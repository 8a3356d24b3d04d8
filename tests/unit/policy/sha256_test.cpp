#include "policy/sha256.h"

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

// Vectors: FIPS 180-4 examples and NIST CAVP.
TEST(sha256, gives_the_published_digests) {
    EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256_hex("abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(
        sha256_hex("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklm"
                   "nopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha256, is_the_same_wherever_the_input_is_cut) {
    std::string text;
    for (int i = 0; i < 200; ++i)
        text += static_cast<char>(i);
    for (std::size_t length = 0; length <= text.size(); ++length) {
        const std::string whole = sha256_hex(std::string_view{text}.substr(0, length));
        sha256 h;
        for (std::size_t i = 0; i < length; i += 7)
            h.update(std::string_view{text}.substr(i, std::min<std::size_t>(7, length - i)));
        ASSERT_EQ(to_hex(h.finish()), whole) << length;
    }
}

}  // namespace
}  // namespace sallyport::policy
