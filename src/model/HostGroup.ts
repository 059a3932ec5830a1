/**
 * Whom an address stands for where callers are counted by it: the host, or of IPv6 its network of 64 bits, of
 * which one host has as many addresses as it likes.
 */
export const hostGroup = (address: string): string => {
  const [plain = ""] = address.split("%")
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)
  if (mapped?.[1] !== undefined) return mapped[1]
  if (!plain.includes(":")) return plain
  const [before = "", after] = plain.split("::")
  const head = before.split(":").filter((part) => part !== "")
  const tail = (after ?? "").split(":").filter((part) => part !== "")
  const zeros = after === undefined ? 0 : Math.max(0, 8 - head.length - tail.length)
  const parts = [...head, ...Array.from({ length: zeros }, () => "0"), ...tail]
  return `${parts
    .slice(0, 4)
    .map((part) => (Number.parseInt(part, 16) || 0).toString(16))
    .join(":")}::/64`
}
