#include "proxy/admin/revocations.h"

#include <gtest/gtest.h>

namespace sallyport::proxy::admin {
namespace {

// A token's revocation reaches the state, also when the store fails at first.
class kept_revocations : public ::testing::Test {
  protected:
    kept_revocations()
        : all([this](std::uint64_t id, const std::string& by, policy::instant,
                     std::function<void(bool)> done) {
              ++attempts;
              if (slow) {
                  pending.push_back(std::move(done));
                  return;
              }
              if (works) stored[id] = by;
              done(works);
          }) {}
    bool revoke(std::uint64_t id) {
        bool answer = false;
        all.store(id, "carol", {}, [&](bool ok) { answer = ok; });
        return answer;
    }
    bool works = true;
    bool slow = false;
    int attempts = 0;
    std::map<std::uint64_t, std::string> stored;
    std::vector<std::function<void(bool)>> pending;
    revocations all;
};

TEST_F(kept_revocations, one_that_is_stored_is_done_with) {
    EXPECT_TRUE(revoke(7));
    EXPECT_EQ(all.waiting(), 0U);
    all.retry();
    EXPECT_EQ(attempts, 1);
}

TEST_F(kept_revocations, one_that_fails_is_tried_until_it_is_stored) {
    works = false;
    EXPECT_FALSE(revoke(7));
    EXPECT_FALSE(revoke(8));
    EXPECT_EQ(all.waiting(), 2U);
    all.retry();
    EXPECT_EQ(all.waiting(), 2U);
    works = true;
    all.retry();
    EXPECT_EQ(all.waiting(), 0U);
    EXPECT_EQ(stored, (std::map<std::uint64_t, std::string>{{7, "carol"}, {8, "carol"}}));
}

TEST_F(kept_revocations, one_under_way_is_not_written_twice_at_once) {
    slow = true;
    all.store(7, "carol", {}, [](bool) {});
    all.retry();
    EXPECT_EQ(attempts, 1);
    pending.front()(false);
    all.retry();
    EXPECT_EQ(attempts, 2);
    pending.back()(true);
    EXPECT_EQ(all.waiting(), 0U);
}

}  // namespace
}  // namespace sallyport::proxy::admin
