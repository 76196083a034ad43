#include "wire/claim.hpp"

#include "wire/cursor.hpp"

namespace ticket::wire {

ByteArray<claim_size> write_claim(const Claim& claim) {
  ByteArray<claim_size> bytes;
  Writer(bytes).integer(claim.number).bytes(claim.epoch).bytes(claim.location).bytes(claim.id);
  return bytes;
}

Checked<Claim> parse_claim(BytesView bytes) {
  Cursor cursor(bytes);
  Claim claim;
  claim.number = TRY(cursor.integer<std::uint32_t>());
  claim.epoch = TRY(cursor.array<16>());
  claim.location = TRY(cursor.array<32>());
  claim.id = TRY(cursor.array<16>());
  TRY(cursor.end());
  return claim;
}

ByteArray<claim_answer_size> write_claim_answer(const ClaimAnswer& answer) {
  ByteArray<claim_answer_size> bytes;
  Writer(bytes).integer(answer.number).integer(static_cast<std::uint8_t>(answer.verdict));
  return bytes;
}

Checked<ClaimAnswer> parse_claim_answer(BytesView bytes) {
  Cursor cursor(bytes);
  ClaimAnswer answer;
  answer.number = TRY(cursor.integer<std::uint32_t>());
  const auto verdict = TRY(cursor.integer<std::uint8_t>());
  if (verdict > static_cast<std::uint8_t>(ClaimAnswer::Verdict::unknown)) {
    return reject(Rejection::malformed);
  }
  answer.verdict = static_cast<ClaimAnswer::Verdict>(verdict);
  TRY(cursor.end());
  return answer;
}

}  // namespace ticket::wire
