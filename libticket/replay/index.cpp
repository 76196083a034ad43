#include "replay/index.hpp"

namespace ticket::replay {

const char* to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::fresh:
      return "fresh";
    case Verdict::replay:
      return "replay";
    case Verdict::unknown:
      return "unknown";
  }
  return "unknown verdict";
}

}  // namespace ticket::replay
