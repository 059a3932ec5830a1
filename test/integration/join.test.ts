/** Getting in, being kept out, and coming back. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, start, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
const other = new TestMesh()
let a: Host
let b: Host
let stranger: Host

beforeAll(async () => {
  a = await mesh.first("host-a")
  b = await mesh.join("host-b")
  stranger = await other.first("stranger")
})

afterAll(async () => {
  await mesh.stop()
  await other.stop()
  await stopAll()
})

const aliveSeenBy = async (host: Host): Promise<ReadonlyArray<string>> => {
  const members = (await host.api("members")) as ReadonlyArray<{ node: string; state: string }>
  return members
    .filter((member) => member.state === "alive")
    .map((member) => member.node)
    .sort()
}

const seen = (host: Host, ...names: ReadonlyArray<string>) =>
  until(`${host.name} sees ${names.join(", ")}`, async () => {
    const alive = await aliveSeenBy(host)
    return names.every((name) => alive.includes(name)) ? true : undefined
  })

/** A host that tries to get in with `token` and is expected to give up by itself. */
const refused = async (token: string): Promise<{ code: number; stderr: string }> => {
  const directory = join(mesh.directory, `refused-${Math.abs(hash(token))}`)
  const config = `${directory}.yaml`
  writeFileSync(
    config,
    `node: { name: nosy, dataDir: ${directory}, listen: [/ip4/127.0.0.1/tcp/${await freePort()}] }
admin: 127.0.0.1:${await freePort()}
outbound: { http: "off" }
`
  )
  const { code, stderr } = await skein("join", token, "--config", config)
  return { code, stderr }
}

const hash = (text: string): number => {
  let value = 7
  for (let i = 0; i < text.length; i++) value = (value * 31 + text.charCodeAt(i)) | 0
  return value
}

describe("invitations", () => {
  it("every member can invite, and the members find each other", async () => {
    const c = await mesh.join("host-c", {}, b)
    await Promise.all([a, b, c].map((host) => seen(host, "host-a", "host-b", "host-c")))
  })

  it("a truncated token is refused as truncated", async () => {
    const token = await a.invite()
    const { code, stderr } = await refused(token.slice(0, token.length - 20))
    expect(code).toBe(1)
    expect(stderr).toMatch(/breaks off after \d+ characters/)
  })

  it("a forged token is refused", async () => {
    const token = await a.invite()
    const middle = Math.floor(token.length / 2)
    const flipped = token[middle] === "A" ? "B" : "A"
    const { code, stderr } = await refused(
      token.slice(0, middle) + flipped + token.slice(middle + 1)
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/altered in copying|forged/)
  })

  it("an expired token is refused as expired", async () => {
    const token = await a.invite("--ttl", "1s")
    const expired = Date.now() + 1_100
    await until("the token has expired", () => (Date.now() > expired ? true : undefined))
    const { code, stderr } = await refused(token)
    expect(code).toBe(1)
    expect(stderr).toMatch(/expired/i)
  })

  it("what is no token at all is refused with the reason", async () => {
    const { code, stderr } = await refused("hello")
    expect(code).toBe(1)
    expect(stderr).toMatch(/token/i)
  })

  it("a member of this mesh cannot be moved to another by a foreign token", async () => {
    const token = await stranger.invite()
    await b.stop()
    const { code, stderr } = await skein("up", "--config", b.configPath, "--join", token)
    expect(code).toBe(1)
    expect(stderr).toMatch(/this node is a member of mesh/)
    await b.up()
  })
})

describe("coming back", () => {
  it("restarts without the token, though the inviter is gone and addresses have changed", async () => {
    const d = await mesh.join("host-d", {}, a)
    await seen(d, "host-a", "host-b", "host-c")
    await a.kill()
    await d.kill()
    d.writeConfig(await freePort())
    await d.up()
    await seen(d, "host-b", "host-c")
    await seen(b, "host-d")
    await a.up()
    await seen(a, "host-d")
  })

  it("refuses a second node on the same data directory, and the first goes on", async () => {
    const second = start(process.execPath, [
      ...[join(import.meta.dirname, "../../src/main.ts"), "up", "--config", b.configPath]
    ])
    expect(await second.exited).toBe(1)
    expect(second.output()).toMatch(/data directory|in use|already/i)
    await b.ready()
  })
})
