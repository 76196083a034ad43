// What every parser is put through: each truncation must be refused, and each
// flipped bit either refused or parsed to something else.
#pragma once

#include <doctest/doctest.h>

#include "base/bytes.hpp"

namespace ticket {

template <class Parse>
void refuses_every_truncation(BytesView whole, Parse parse) {
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(parse(whole.first(size)).has_value());
  }
  Bytes longer = to_bytes(whole);
  longer.push_back(std::byte{0});
  CHECK_FALSE(parse(BytesView(longer)).has_value());
}

template <class Parse, class Same>
void no_flipped_bit_goes_unseen(BytesView whole, Parse parse, Same same) {
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    CAPTURE(bit);
    Bytes altered = to_bytes(whole);
    altered[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    const auto parsed = parse(BytesView(altered));
    CHECK((!parsed.has_value() || !same(*parsed)));
  }
}

}  // namespace ticket
