#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/dependencies.h"
#include "proxy/console.h"

/// The commands of the database named `sallyport`.
namespace sallyport::proxy::admin {

/// SHOW HOLDS, APPROVE 7 REASON '…', HELP and the rest, for any psql or driver.
/// Errors: 42601 not understood, 42501 not allowed, 42704 no such thing, 22023 out of bounds,
/// 55000 already ended, 58030 store or audit cannot write, 0A000 a query (the console has no
/// tables). Concurrency: any thread; `d`'s functions must stay callable as long as the console
/// lives. What blocks (RELOAD) runs on a thread of the console's own.
class console final : public console_backend {
  public:
    explicit console(dependencies d);
    ~console() override;
    void execute(console_user user, std::string statement,
                 std::function<void(console_result)> done) override;
    std::vector<console_column> describe(const std::string& statement) override;

  private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace sallyport::proxy::admin
