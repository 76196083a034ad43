// Finding a ticket's key while nothing changes: pin, find by name, unpin.
#include <algorithm>
#include <array>
#include <stdexcept>
#include <thread>

#include "ring/live_ring.hpp"
#include "setting.hpp"

namespace bench {

namespace {

using ticket::ring::LiveRing;

class Lookup {
 public:
  Lookup() : live_({pool_.ring_path(), {}, &clock_, {}}) {
    context_ = live_.context(ticket::ring::purpose::openssl, "default");
    now_ = std::make_unique<ticket::Moment>(clock_.now());
    for (std::size_t i = 0; i < names_.size(); ++i) {
      ticket::ByteArray<80> stek;
      ticket::ring::derive_stek(pool_.ring().secret(i + 4), ticket::ring::purpose::openssl, "web",
                                "default", stek);
      std::copy_n(stek.begin(), 16, names_[i].begin());
    }
  }

  // Nanoseconds a lookup, by one thread.
  double run(std::size_t lookups) {
    const auto began = thread_time();
    std::uint64_t found = 0;
    for (std::size_t i = 0; i < lookups; ++i) {
      if (live_.due(*now_)) live_.tend(*now_);
      const LiveRing::Pin pin(live_);
      const auto* stek = pin.keys(context_)->find(ticket::raw(names_[i % names_.size()]));
      found += stek != nullptr && now_->latest < stek->epoch->opens_until ? 1 : 0;
    }
    const auto took = thread_time() - began;
    if (found != lookups) throw std::runtime_error("a key was not found");
    return took / static_cast<double>(lookups);
  }

  // The same by two at once: what each one's lookup takes.
  double run_two(std::size_t lookups) {
    double other = 0;
    std::thread second([&] { other = run(lookups); });
    const double mine = run(lookups);
    second.join();
    return (mine + other) / 2;
  }

 private:
  PoolFolder pool_;
  ticket::SystemClock clock_;
  LiveRing live_;
  int context_ = -1;
  std::unique_ptr<ticket::Moment> now_;
  std::array<ticket::ring::KeyName, 8> names_;
};

}  // namespace

void measure_lookup(Figures& figures) {
  constexpr std::size_t lookups = 4'000'000;
  Lookup lookup;
  lookup.run(lookups);
  std::vector<double> alone, ratios;
  for (int i = 0; i < 15; ++i) {
    alone.push_back(lookup.run(lookups));
    ratios.push_back(lookup.run_two(lookups) / alone.back());
  }
  figures["lookup_ns"] = quartiles(alone).middle;
  figures["lookup_two_readers_ratio"] = quartiles(ratios).middle;
}

}  // namespace bench
