/**
 * `skein actors` and the admin API on two hosts: carts in a program on Node at one and on Deno at the other, as
 * examples/actors has them, asked at either node.
 */
import { join } from "node:path"
import { Schema } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ActorsStatus } from "../../src/admin/ActorsModel.ts"
import { build, type Host, root, skein, TestMesh } from "../fixtures/Mesh.ts"
import { type Running, run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const deno = join(root, "node_modules", ".bin", "deno")
const example = join(root, "examples", "actors", "attached.ts")
const socket = (name: string) => `unix:${join(mesh.directory, `${name}.sock`)}`
const file = join(mesh.directory, "carts.sqlite")
let a: Host
let b: Host
let c: Host
let onDeno: Running

const decode = Schema.decodeUnknownSync(ActorsStatus)
const actors = async (host: Host, query = ""): Promise<ActorsStatus> => {
  const url = `http://${host.admin}/api/v1/actors${query}`
  const { stdout } = await run(program("curl"), ["-sS", "--max-time", "20", url])
  return decode(JSON.parse(stdout))
}
const command = async (host: Host, ...words: ReadonlyArray<string>): Promise<string> => {
  const { end, stdout, stderr } = await skein("actors", ...words, "--admin", host.admin)
  expect([end.code, stderr]).toEqual([0, ""])
  return stdout
}
/** Of a metric of carts, at a host's node. */
const metric = async (host: Host, name: string): Promise<number> => {
  const { stdout } = await run(program("curl"), ["-sS", `http://${host.admin}/metrics`])
  const line = stdout.split("\n").find((one) => one.startsWith(`${name} `))
  return Number(line?.split(" ")[1])
}

beforeAll(async () => {
  const built = await build() // which is what the package's name means to the programs
  a = await mesh.first("host-a", { ...built, threads: 1, programs: { listen: socket("a") } })
  b = await mesh.join("host-b", {
    ...{ ...built, threads: 1, programs: { listen: socket("b") } },
    invite: ["--services", "actor-cart"]
  })
  c = await mesh.join("host-c", { ...built, threads: 1, invite: ["--services", "web"] })
  start(process.execPath, [example, socket("a"), file, "first"])
  onDeno = start(deno, ["run", "-A", example, socket("b"), file, "second"])
  await until("both share the shards", async () => {
    const { types } = await actors(a)
    const [carts] = types
    const isWhole = carts?.hosts.length === 2 && carts.shards === 256
    return isWhole && carts.hosts.every(({ shards }) => shards.owned > 0) ? true : undefined
  })
  // Twelve carts, each of which is asked twice, and one once more.
  const asked = await run(process.execPath, [example, socket("a"), file])
  expect(asked.stdout).toContain("carts are in first and second")
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
})

describe("actors on two hosts", () => {
  it("are the same asked at either, over all programs", async () => {
    for (const host of [a, b]) {
      const { nodes, types, withheld } = await actors(host)
      expect([nodes, withheld]).toEqual([{ answered: ["host-a", "host-b"], silent: [] }, []])
      expect(types).toMatchObject([
        {
          ...{ type: "Cart", service: "actor-cart", shards: 256, activations: 12 },
          messages: { ok: 25, failed: 0 },
          ...{ errors: 0, lastError: null, saves: { ok: 12, fenced: 0 } },
          ...{ lost: 0, given: { ok: 0, failed: 0 } }
        }
      ])
      expect(types[0]?.p99Ms).toBeGreaterThan(0)
      expect(types[0]?.hosts.map(({ node, program: name }) => [node, name])).toEqual([
        ["host-a", "first"],
        ["host-b", "second"]
      ])
    }
    expect(await command(b)).toMatch(/^Cart +2 +256\/256 +12 +0 +0 +\d/m)
  })

  it("are named by type and by id: the busiest, and where one lives", async () => {
    const { types } = await actors(b, "?type=Cart")
    const hosts = types[0]?.hosts ?? []
    expect(hosts.reduce((sum, { busiest }) => sum + busiest.length, 0)).toBeGreaterThanOrEqual(10)
    for (const { node, busiest } of hosts) {
      const first = busiest[0]
      if (first === undefined) throw new Error(`${node} names none`)
      const one = await actors(a, `?type=Cart&id=${first.id}`)
      expect(one.types[0]?.place?.owners).toMatchObject([{ node, by: ["host-a", "host-b"] }])
      const text = await command(b, "Cart", first.id)
      expect(text).toMatch(new RegExp(`^lives at +${node} \\(program-`, "m"))
      expect(text).toMatch(/^saved +version 1$/m)
    }
    expect(await command(a, "Cart", "nobody")).toMatch(/^state +not in memory/m)
    expect(await command(a, "Cart")).toMatch(
      /^user-0 +host-[ab] \((first|second)\) +ready +0 +0 +3 /m
    )
  })

  it("are counted at each host's node, by type", async () => {
    const messages = 'skein_actors_messages_total{actor_type="Cart",result="success"}'
    const counts = [await metric(a, messages), await metric(b, messages)]
    expect(Math.min(...counts)).toBeGreaterThan(0)
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(25)
    expect(await metric(a, messages)).toBe(counts[0])
    const shards = 'skein_actors_shards{actor_type="Cart"}'
    expect((await metric(a, shards)) + (await metric(b, shards))).toBe(256)
  })

  it("are not named to a node that could not run them, which gets the numbers", async () => {
    const { types, withheld } = await actors(c, "?type=Cart")
    expect(withheld).toEqual(["host-a", "host-b"])
    expect(types[0]).toMatchObject({ activations: 12, messages: { ok: 25 } })
    expect(JSON.stringify(types)).not.toContain("user-")
    const { nodes } = await actors(c, "?type=Cart&id=user-0")
    expect(nodes.silent.map(({ node }) => node)).toEqual(["host-a", "host-b"])
    expect(nodes.silent[0]?.reason).toContain("capability policy")
  })

  it("say which program does not answer", async () => {
    onDeno.child.kill("SIGSTOP")
    const text = await command(a)
    onDeno.child.kill("SIGCONT")
    expect(text).toContain("not in this: host-b (second): it has not answered within 500 ms")
    expect(text).toMatch(/^Cart +1 +\d+\/256 /m)
  })
})
