import { describe, expect, it } from "vitest"
import { fieldValue } from "../../model/Exchange.ts"
import { forwardFields, type Hop, timesThrough } from "./Forwarded.ts"

const hop: Hop = {
  clientAddress: "10.0.0.9",
  proto: "http",
  version: 1,
  authority: "a.mesh:80",
  node: "host-a"
}

describe("forwardFields", () => {
  it("tells a first hop, and leaves out Forwarded, which nobody began", () => {
    expect(forwardFields(["Accept", "*/*"], hop)).toEqual([
      "Accept",
      "*/*",
      "x-forwarded-for",
      "10.0.0.9",
      "x-forwarded-proto",
      "http",
      "x-forwarded-host",
      "a.mesh:80",
      "via",
      "1.1 host-a"
    ])
  })

  it("says in Via what the client spoke", () => {
    const fields = forwardFields(["Via", "1.1 edge"], { ...hop, version: 0 })
    expect(fieldValue(fields, "via")).toBe("1.1 edge, 1.0 host-a")
  })

  it("appends to what earlier hops said, joined over several fields", () => {
    const fields = forwardFields(
      [
        "X-Forwarded-For",
        "192.0.2.1",
        "x-forwarded-for",
        "192.0.2.2",
        "X-Forwarded-Proto",
        "https",
        "X-Forwarded-Host",
        "shop.example",
        "Via",
        "1.0 edge",
        "Forwarded",
        "for=192.0.2.1"
      ],
      hop
    )
    expect(fieldValue(fields, "x-forwarded-for")).toBe("192.0.2.1, 192.0.2.2, 10.0.0.9")
    expect(fieldValue(fields, "x-forwarded-proto")).toBe("https")
    expect(fieldValue(fields, "x-forwarded-host")).toBe("shop.example")
    expect(fieldValue(fields, "via")).toBe("1.0 edge, 1.1 host-a")
    expect(fieldValue(fields, "forwarded")).toBe(
      'for=192.0.2.1, by=_host-a;for=10.0.0.9;host="a.mesh:80";proto=http'
    )
    expect(fields).toHaveLength(10)
  })

  it("takes fields that say nothing for none", () => {
    const empty = ["X-Forwarded-Host", "", "x-forwarded-proto", "", "Via", "", "Forwarded", ""]
    const forwarded = ["X-Forwarded-For", "192.0.2.1", "X-Forwarded-For", ""]
    expect(forwardFields([...empty, ...forwarded], hop)).toEqual([
      "x-forwarded-for",
      "192.0.2.1, 10.0.0.9",
      "x-forwarded-proto",
      "http",
      "x-forwarded-host",
      "a.mesh:80",
      "via",
      "1.1 host-a"
    ])
  })

  it.each([
    ["::ffff:127.0.0.1", "127.0.0.1", "for=127.0.0.1"],
    ["2001:db8::1", "2001:db8::1", 'for="[2001:db8::1]"'],
    [undefined, undefined, "for=unknown"]
  ])("writes the address %s", (clientAddress, plain, element) => {
    const fields = forwardFields(["Forwarded", "for=x"], { ...hop, clientAddress, authority: "" })
    expect(fieldValue(fields, "x-forwarded-for")).toBe(plain)
    expect(fieldValue(fields, "forwarded")).toBe(`for=x, by=_host-a;${element};proto=http`)
    expect(fieldValue(fields, "x-forwarded-host")).toBeUndefined()
  })

  it("does not change the list it is given", () => {
    const fields = Object.freeze(["Via", "1.1 b"])
    expect(forwardFields(fields, hop)).not.toBe(fields)
  })
})

describe("timesThrough", () => {
  it("counts this node's entries in all Via fields", () => {
    const once = forwardFields([], hop)
    expect(timesThrough([], "host-a")).toBe(0)
    expect(timesThrough(once, "host-a")).toBe(1)
    expect(
      timesThrough([...forwardFields(once, hop), "VIA", "HTTP/1.1 host-a (x)"], "host-a")
    ).toBe(3)
    expect(timesThrough(once, "host")).toBe(0)
    // RFC 9110 §7.6.3: the two are apart by any blanks.
    expect(timesThrough(["Via", "1.1\thost-a\t, 1.1  host-a (x),1.1 host-a"], "host-a")).toBe(3)
  })
})
