/** What a program is told of where it looks for its node. */
import { Either } from "effect"
import { describe, expect, it } from "vitest"
import { placeText, readPlace, saidPlace, whyNoNode } from "./AttachPlace.ts"

const read = (address: string) => readPlace({ address, by: "SKEIN_ATTACH" }, "/srv/shop")
const wrong = (address: string): string => Either.getOrThrow(Either.flip(read(address)))

describe("the address of a node", () => {
  it("is what is said, or the usual socket", () => {
    expect(saidPlace("unix:/a", "unix:/b")).toEqual({ address: "unix:/a", by: "`to`" })
    expect(saidPlace(undefined, "unix:/b")).toEqual({ address: "unix:/b", by: "SKEIN_ATTACH" })
    expect(saidPlace(undefined, undefined).address).toBe("unix:/run/skein/programs.sock")
    expect(saidPlace(undefined, "")).toEqual(saidPlace(undefined, undefined))
    expect(placeText(saidPlace(undefined, "unix:/b"))).toBe("unix:/b (SKEIN_ATTACH)")
    expect(placeText(saidPlace(undefined, undefined))).toMatch(
      /^unix:\/run\/skein\/programs\.sock \(.* `to` of Skein\.attach, or by SKEIN_ATTACH\)$/
    )
  })

  it("may be relative to where the program runs", () => {
    for (const address of ["unix:./run/p.sock", "unix:run/p.sock", "unix:/srv/shop/run/p.sock"]) {
      expect(read(address)).toEqual(
        Either.right({
          place: { host: "unix:/srv/shop/run/p.sock", port: 0 },
          address: "unix:/srv/shop/run/p.sock"
        })
      )
    }
    expect(read("127.0.0.1:4142")).toEqual(
      Either.right({ place: { host: "127.0.0.1", port: 4142 }, address: "127.0.0.1:4142" })
    )
  })

  it("is refused with what to write", () => {
    for (const path of ["/run/skein/p.sock", "./p.sock", "../p.sock", "run/p.sock"]) {
      expect(wrong(path)).toBe(`SKEIN_ATTACH is "${path}", a path alone; write unix:${path}`)
    }
    for (const address of ["nonsense", "4142", "unix:", "127.0.0.1:0", "http://127.0.0.1:1/x"]) {
      expect(wrong(address), address).toMatch(
        /^SKEIN_ATTACH is to say where this host's node is: ".*" .*; write what `programs\.listen` .* says, like unix:/
      )
      expect(wrong(address)).toContain(JSON.stringify(address))
    }
  })
})

describe("why there is no node", () => {
  it("says what there is, and what to do", () => {
    const why = (code: string, isPort = false): string =>
      whyNoNode({ refused: undefined, reason: "connect", code }, isPort)
    expect(why("ENOENT")).toMatch(/no such socket.*not up.*`skein status`/)
    expect(why("ECONNREFUSED")).toMatch(/nobody listens on it: its node has ended/)
    expect(why("ECONNREFUSED", true)).toMatch(/nothing listens on that port/)
    expect(why("EACCES")).toMatch(/may not open the socket: `mode` and `owner`/)
    expect(why("ENOTSOCK")).toMatch(/no socket \(connect\)/)
    expect(why("EPIPE")).toBe("connect")
    const refused = { code: "draining", message: "it takes nothing new" } as const
    expect(whyNoNode({ refused, reason: refused.message }, false)).toBe(refused.message)
  })
})
