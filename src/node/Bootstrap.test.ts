import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { loadBootstrap, parseBootstrap, saveBootstrap } from "./Bootstrap.ts"

const peer = "12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M"
const other = "12D3KooWSHj3RRbBjD15g6wekV8y3mm57Pobmps2g2WJm6F67Lay"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-bootstrap-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

describe("parseBootstrap", () => {
  it("gathers the addresses of each peer, without the peer", () => {
    expect([
      ...parseBootstrap([
        `/ip4/10.0.0.1/tcp/4001/p2p/${peer}`,
        `/dns4/b.example/tcp/4001/p2p/${other}`,
        `/ip6/::1/tcp/4001/p2p/${peer}`
      ])
    ]).toEqual([
      [peer, ["/ip4/10.0.0.1/tcp/4001", "/ip6/::1/tcp/4001"]],
      [other, ["/dns4/b.example/tcp/4001"]]
    ])
  })

  it("leaves out what names nobody", () => {
    const addresses = ["", "/ip4/10.0.0.1/tcp/4001", "/ip4/10.0.0.1/tcp/4001/p2p/", "/p2p/x y"]
    expect(parseBootstrap(addresses).size).toBe(0)
  })
})

describe("the stored bootstrap", () => {
  it.scoped("is read back, and only its owner can read it", () =>
    Effect.gen(function* () {
      const path = yield* directory
      yield* saveBootstrap(path, [`/ip4/10.0.0.1/tcp/4001/p2p/${peer}`])
      expect([...(yield* loadBootstrap(path))]).toEqual([[peer, ["/ip4/10.0.0.1/tcp/4001"]]])
      expect(statSync(join(path, "bootstrap.json")).mode & 0o777).toBe(0o600)
    })
  )

  it.scoped("is empty when there is none, and when it cannot be understood", () =>
    Effect.gen(function* () {
      const path = yield* directory
      expect((yield* loadBootstrap(path)).size).toBe(0)
      for (const text of ["", "{", '{"a":1}', "[1]"]) {
        writeFileSync(join(path, "bootstrap.json"), text, { mode: 0o600 })
        expect((yield* loadBootstrap(path)).size).toBe(0)
      }
    })
  )
})
