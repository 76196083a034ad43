// The input is edits of a ticket, triples of position (two bytes) and what to xor
// there, and then the payload. What was sealed opens to its plaintext; with an edit
// that changed anything, or as bare bytes, it never opens.
#include <unistd.h>

#include <filesystem>

#include "fuzz.hpp"
#include "seal/ticket.hpp"

namespace {

using namespace ticket;

struct StoppedClock : Clock {
  Moment now() const override { return sys_seconds(seconds(1'790'000'000)); }
};

// One epoch that seals now, in a file that nobody needs once it is read.
class Pool {
 public:
  Pool() {
    const auto now = clock_.now().steady;
    ring::Ring ring;
    ring.pool = "fuzz";
    ring.generation = 1;
    ring::Epoch epoch;
    epoch.number = 1;
    epoch.id.fill(std::byte{1});
    epoch.made = epoch.seals_from = now;
    epoch.seals_until = now + seconds(3600);
    epoch.opens_until = now + seconds(7200);
    ring.epochs = {epoch};
    ring.secrets = SecretBytes::copy_of(ByteArray<32>{std::byte{7}});
    const auto path =
        std::filesystem::temp_directory_path() / ("tkt-fuzz-" + std::to_string(getpid()) + ".ring");
    holds(ring::RingWriter(path, "fuzz").publish(ring, clock_.now()).has_value());
    live_ = std::make_unique<ring::LiveRing>(ring::LiveRing::Options{path, {}, &clock_, {}});
    context_ = live_->context("seal/fuzz", "fuzz");
    live_->tend(clock_.now());
    std::filesystem::remove(path);
  }

  Bytes seal(BytesView payload) {
    Bytes ticket(seal::ticket_size(payload.size()));
    holds(seal::seal(*live_, context_, clock_.now(), payload, {}, ticket).has_value());
    return ticket;
  }
  std::optional<Bytes> open(BytesView ticket) {
    Bytes payload(seal::payload_room(ticket.size()).value_or(0));
    seal::Label label;
    const auto size = seal::open(*live_, context_, clock_.now(), ticket, payload, label);
    if (!size) {
      holds(all_zero(payload));  // nothing was written
      return std::nullopt;
    }
    payload.resize(*size);
    return payload;
  }

 private:
  StoppedClock clock_;
  std::unique_ptr<ring::LiveRing> live_;
  int context_ = -1;
};

// Applies the edits: a count, then the triples. What is left is the payload.
struct Edits {
  BytesView triples, payload;

  explicit Edits(BytesView input) {
    const auto count = input.empty() ? 0u : std::to_integer<unsigned>(input[0]) % 8;
    const auto body = input.empty() ? input : input.subspan(1);
    triples = body.first(std::min<std::size_t>(count * 3, body.size() / 3 * 3));
    payload = body.subspan(triples.size());
  }
  void apply(std::span<std::byte> ticket) const {
    for (std::size_t i = 0; i < triples.size(); i += 3) {
      const auto at = std::to_integer<std::size_t>(triples[i]) * 256 +
                      std::to_integer<std::size_t>(triples[i + 1]);
      ticket[at % ticket.size()] ^= triples[i + 2];
    }
  }
};

}  // namespace

FUZZ_TARGET(data, size) {
  static Pool pool;
  const auto input = bytes_of(data, size);
  holds(!pool.open(input));
  const Edits edits(input);
  if (edits.payload.size() > seal::max_payload) return 0;

  const auto sealed = pool.seal(edits.payload);
  const auto opened = pool.open(sealed);
  holds(opened.has_value() && std::ranges::equal(*opened, edits.payload));

  auto edited = sealed;
  edits.apply(edited);
  holds(pool.open(edited).has_value() == (edited == sealed));
  edited.pop_back();
  holds(!pool.open(edited));
  return 0;
}
