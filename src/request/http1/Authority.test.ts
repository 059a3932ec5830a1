import { describe, expect, it } from "vitest"
import { readAuthority } from "./Authority.ts"

describe("readAuthority", () => {
  it.each([
    ["a.mesh", "a.mesh"],
    ["A.Mesh.", "A.Mesh."],
    ["a.mesh:80", "a.mesh:80"],
    ["a.mesh:65535", "a.mesh:65535"],
    // RFC 3986 §3.2.3: an empty port is the default one.
    ["a.mesh:", "a.mesh"],
    ["[::1]:", "[::1]"],
    ["a.mesh:00080", "a.mesh:80"],
    ["a.mesh:0000000000000000000000080", "a.mesh:80"],
    ["127.0.0.1:1", "127.0.0.1:1"],
    ["[::1]", "[::1]"],
    ["[2001:db8::1]:8080", "[2001:db8::1]:8080"],
    ["[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]"],
    ["a_b~c", "a_b~c"],
    ["a!$&'()*+;=b", "a!$&'()*+;=b"]
  ])("%s is forwarded as %s", (text, forwarded) => {
    expect(readAuthority(text)).toBe(forwarded)
  })

  it.each([
    "",
    ":80",
    ":",
    "a:0",
    "a:00",
    "a:65536",
    "a:99999",
    `a:${"9".repeat(400)}`,
    "a:80x",
    "a:+80",
    "a: 80",
    "a:80:81",
    "a,b",
    "a b",
    "a/b",
    "a\\b",
    "a?b",
    "a#b",
    "b@a",
    "a%41",
    "<a>",
    'a"b',
    "\xe4.mesh",
    "::1",
    "[",
    "[]",
    "[1",
    "[::1]x",
    "[::1]]",
    "[v1.x]",
    "[fe80::1%25eth0]"
  ])("%j is none", (text) => {
    expect(readAuthority(text)).toBeUndefined()
  })

  it.each(["a", "a:", "a:0", "a:65536", "[::1]", "[::1]:"])(
    "%j has no port for CONNECT",
    (text) => {
      expect(readAuthority(text, true)).toBeUndefined()
    }
  )

  it("gives back what needs no change as it is", () => {
    const text = "a.mesh:8080"
    expect(readAuthority(text)).toBe(text)
    expect(readAuthority(text, true)).toBe(text)
  })
})
