#include "policy/types.h"

namespace sallyport::policy {

const char* to_string(effect e) noexcept {
    switch (e) {
        case effect::allow:
            return "allow";
        case effect::hold:
            return "hold";
        case effect::deny:
            return "deny";
    }
    return "deny";
}

}  // namespace sallyport::policy
