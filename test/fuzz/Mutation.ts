/** What attackers and broken programs do to a message. */
import type { Random } from "./Random.ts"

const insertions = [
  ...'\r\n\t \0:;,"x0+-=/\\#%?@*[]\x7f\x80\x85\xa0\xff\x01\x0b\x0c\x1b',
  "\r\n",
  "\r\n\r\n",
  "\n\n",
  "\r\r\n",
  "\n\r\n",
  "\r\n ",
  "\r\n\t",
  " :",
  "\t:",
  ": ",
  "Content-Length: 3\r\n",
  "Content-Length: 0\r\n",
  "\r\nContent-Length: 5",
  "\r\nContent-Length: +5",
  "\r\nContent-Length: 18446744073709551617",
  "\r\nContent-Length: 3, 3",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: identity\r\n",
  "Transfer-Encoding: gzip, chunked\r\n",
  "\r\nTransfer-Encoding:\x0bchunked",
  "\r\nTransfer-Encoding : chunked",
  "Host: c.mesh\r\n",
  "Set-Cookie: a=b\r\n",
  "Host: d.mesh\r\n\r\n",
  "Connection: upgrade\r\nUpgrade: x\r\n",
  "HTTP/1.0",
  "HTTP/1.1",
  "HTTP/2.0",
  "0x",
  "ffffffffffffffff",
  "0\r\n\r\n",
  ";ext=1",
  ';"',
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
]

const once = (random: Random, text: string): string => {
  const at = random.below(text.length + 1)
  switch (random.below(8)) {
    case 0:
    case 1:
      return text.slice(0, at) + random.pick(insertions) + text.slice(at)
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + random.below(3))
    case 3:
      return text.slice(0, at) + random.pick(insertions) + text.slice(at + 1)
    case 4: {
      const lines = text.split("\r\n")
      lines.splice(random.below(lines.length), 0, random.pick(lines))
      return lines.join("\r\n")
    }
    case 5: {
      // Line ends are where most disagreements were found in the wild.
      const end = text.indexOf("\r\n", at)
      if (end === -1) return text
      return (
        text.slice(0, end) + random.pick(["\n", "\r", "\r\r\n", "\n\n", ""]) + text.slice(end + 2)
      )
    }
    case 6: {
      // A name or word in another case, which must make no difference.
      const end = at + random.below(20)
      const part = text.slice(at, end)
      const other = random.chance(0.5) ? part.toUpperCase() : part.toLowerCase()
      // Not every latin-1 letter stays in latin-1.
      return /^[\0-\xff]*$/.test(other) ? text.slice(0, at) + other + text.slice(end) : text
    }
    default:
      return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1)
  }
}

/** Mostly a single change; some inputs are left right, a few are broken thoroughly. */
export const mutate = (random: Random, text: string): string => {
  let mutated = text
  for (let left = random.pick([0, 1, 1, 1, 1, 2, 2, 3, 6]); left > 0; left--) {
    mutated = once(random, mutated)
  }
  return mutated
}
