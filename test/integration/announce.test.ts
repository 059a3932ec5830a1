/** Addresses that are told to others and lead nowhere: who notices, what is said, where tokens lead. */
import { join } from "node:path"
import { Either } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { parseInvite } from "../../src/mesh/trust/Invite.ts"
import { type Host, root, skein, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
const denoProgram = join(root, "node_modules", ".bin", "deno")
const loopback = (port: number) => `/ip4/127.0.0.1/tcp/${port}`
/** Nobody is there. */
let nowhere: string
let a: Host

beforeAll(async () => {
  nowhere = loopback(await freePort())
  a = await mesh.first("host-a", { announce: (port) => [loopback(port), nowhere] })
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
})

interface Announced {
  readonly address: string
  readonly state: string
  readonly by: ReadonlyArray<string>
  readonly checkedAt: number | null
}

const announced = async (host: Host) =>
  ((await host.api("status")) as { announced: ReadonlyArray<Announced> }).announced

/** Waits until others have judged every address of the host; gives who said what. */
const judged = (host: Host) =>
  until(
    `verdicts on what ${host.name} announces`,
    async () => {
      const all = await announced(host)
      return all.every(({ state }) => state !== "untried") ? all : undefined
    },
    30
  )

/** A token, where it leads, and what was said beside it. */
const invite = async (host: Host) => {
  const { code, stdout, stderr } = await skein("invite", "--admin", host.admin)
  if (code !== 0) throw new Error(`invite on ${host.name}: ${stderr}`)
  const token = stdout.trim()
  const { bootstrap } = Either.getOrThrow(parseInvite(token, Date.now()))
  return { token, leadsTo: bootstrap.map((it) => it.replace(/\/p2p\/.*/, "")), stderr }
}

const doctor = async (host: Host) => {
  const { code, stdout } = await skein("doctor", "--admin", host.admin)
  return { code, line: stdout.split("\n").find((line) => line.includes("announced")) ?? "" }
}

describe("what is announced in vain", () => {
  let b: Host

  it("a mesh of one cannot know, and tokens carry what is announced", async () => {
    expect((await announced(a)).map(({ state }) => state)).toEqual(["untried", "untried"])
    const { leadsTo, stderr } = await invite(a)
    expect(leadsTo).toEqual([loopback(a.meshPort), nowhere])
    expect(stderr).toMatch(/^warning: the token leads to loopback addresses only/)
    expect(a.process?.output()).toContain(`listens    ${loopback(a.meshPort)}\n`)
    expect(a.process?.output()).toMatch(/announces {2}\S+\n +\S+\n/)
  })

  it("the first other member finds it out, also on Deno, whichever of them asks", async () => {
    b = await mesh.join("host-b", {
      runtime: [denoProgram, "run", "-A"],
      announce: () => [nowhere]
    })
    expect(await judged(a)).toMatchObject([
      { address: loopback(a.meshPort), state: "reached", by: ["host-b"] },
      { address: nowhere, state: "unreached", by: ["host-b"], checkedAt: expect.any(Number) }
    ])
    expect(await judged(b)).toMatchObject([
      { address: nowhere, state: "unreached", by: ["host-a"], checkedAt: expect.any(Number) }
    ])
  })

  it("the log says so once, and doctor what to do", async () => {
    for (const [host, other] of [
      [a, "host-b"],
      [b, "host-a"]
    ] as const) {
      const told = host.process?.output().split(`no member reaches this node at ${nowhere}`)
      expect(told).toHaveLength(2)
      expect(told?.[1]).toMatch(
        new RegExp(`^, which it announces \\(tried by ${other}\\).*node.announce`)
      )
    }
    // One of two is wrong; and all there is.
    expect(await doctor(a)).toMatchObject({ line: expect.stringContaining(nowhere) })
    const all = await doctor(b)
    expect(all.code).toBe(1)
    expect(all.line).toMatch(/no member reaches this node: .* \(not reached by host-a, /)
  })

  it("tokens lead to what is reached, of whichever member, and let others in", async () => {
    const ofA = await invite(a)
    expect(ofA.leadsTo).toEqual([loopback(a.meshPort)])
    expect(ofA.stderr).toMatch(/^warning: no member reaches this node at .* does not lead there$/m)
    const ofB = await invite(b)
    expect(ofB.leadsTo).toEqual([loopback(a.meshPort)])
    await mesh.join("host-c", {}, b)
  })

  it("is well again when it is mended", async () => {
    await b.stop()
    b.options = { ...b.options, announce: (port) => [loopback(port)] }
    b.writeConfig()
    await b.up()
    expect(await judged(b)).toMatchObject([
      { address: loopback(b.meshPort), state: "reached", by: [expect.stringMatching(/host-[ac]/)] }
    ])
    expect((await doctor(b)).line).toMatch(/√.*reached by host-[ac]/)
    expect((await invite(b)).leadsTo.toSorted()).toEqual(
      mesh.hosts.map(({ meshPort }) => loopback(meshPort)).toSorted()
    )
  })
})
