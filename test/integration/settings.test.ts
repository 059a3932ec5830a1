/** What holds in the whole mesh, with real nodes: set on one, held by all, through cuts and restarts. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let a: Host
let b: Host
let c: Host

const on = (host: Host, ...args: ReadonlyArray<string>) => skein(...args, "--admin", host.admin)

/** A policy for payments with so many further attempts. */
const policy = (attempts: number) => {
  const path = join(mesh.directory, `payments-${attempts}.yaml`)
  writeFileSync(path, `kind: policy\nname: payments\nretry: { attempts: ${attempts} }\n`)
  return path
}

interface Row {
  readonly id: string
  readonly node: string
  readonly body: unknown
  readonly conflict: ReadonlyArray<Row>
}

const rows = async (host: Host): Promise<ReadonlyArray<Row>> => {
  const settings = await host.api("settings?kind=policy")
  if (!Array.isArray(settings)) throw new Error(`${host.name} lists no settings`)
  return settings
}

const holds = (host: Host, attempts: number) =>
  until(`${host.name} holds ${attempts} attempts`, async () => {
    const settings = await host.api("settings?kind=policy&name=payments")
    return JSON.stringify(settings).includes(`"attempts":${attempts}}}`) ? true : undefined
  })

beforeAll(async () => {
  a = await mesh.first("host-a")
  b = await mesh.join("host-b")
  c = await mesh.prepare("host-c", {})
  await c.up("--join", await a.invite("--capabilities", "policy"))
  await until("all three are there", async () => {
    const members = JSON.stringify(await a.api("members"))
    return members.split('"alive"').length === 4 ? true : undefined
  })
})

afterAll(async () => {
  await mesh.stop()
  await stopAll()
})

describe("settings of the mesh", () => {
  it("hold on every node when the command is done", async () => {
    const { code, stderr } = await on(a, "apply", "-f", policy(1), "--why", "a start")
    expect([code, stderr]).toEqual([0, expect.stringContaining("seen by 3 of 3 reachable nodes")])
    const [first, ...others] = await Promise.all([a, b, c].map(rows))
    expect(first).toMatchObject([{ node: "host-a", body: { retry: { attempts: 1 } } }])
    for (const other of others) expect(other).toEqual(first)
    const { stdout } = await on(c, "get", "policy", "-o", "json")
    expect(JSON.parse(stdout)).toEqual(first)
    // Who set what stands in the audit log of each, whoever was asked.
    const line = await until("the audit log of host-b has it", async () =>
      readFileSync(join(b.dataDir, "audit.log"), "utf8")
        .split("\n")
        .find((text) => text.includes('"about":"policy payments"'))
    )
    expect(JSON.parse(line)).toMatchObject({
      ...{ event: "setting.changed", from: "host-a", about: "policy payments" },
      ...{ message: "a start", node: "host-b" },
      more: { holds: true, says: '{"retry":{"attempts":1}}' }
    })
  })

  it("are not for a node whose certificate does not grant it", async () => {
    const { code, stderr } = await on(b, "apply", "-f", policy(2))
    expect(code).toBe(1)
    expect(stderr).toContain("host-b may not set policy payments")
    expect(stderr).toMatch(/Do it on host-[ac]/)
    // A dry run is judged alike.
    const dry = await on(b, "apply", "-f", policy(2), "--dry-run")
    expect([dry.code, dry.stderr]).toEqual([code, stderr])
    expect(await rows(b)).toEqual(await rows(a))
  })

  it("reach a node that was not there when it is back", async () => {
    c.process?.child.kill("SIGSTOP")
    const { code, stderr } = await on(a, "apply", "-f", policy(2))
    expect([code, stderr]).toEqual([0, expect.stringContaining("told when they are: host-c")])
    expect(stderr).toContain("seen by 2 of 2 reachable nodes")
    c.process?.child.kill("SIGCONT")
    await holds(c, 2)
  })

  it("changed on both sides of a cut: both are shown on every node until it is settled", async () => {
    await c.stop()
    expect((await on(a, "apply", "-f", policy(3))).code).toBe(0)
    await holds(b, 3)
    await Promise.all([a.stop(), b.stop()])
    await c.up()
    expect(await rows(c)).toMatchObject([{ body: { retry: { attempts: 2 } } }])
    expect((await on(c, "apply", "-f", policy(4), "--wait", "0s")).code).toBe(0)
    // What each knew when it went down is there again, and they meet.
    await Promise.all([a.up(), b.up()])
    for (const host of [a, b, c]) {
      await until(`${host.name} shows the conflict`, async () => {
        const [row] = await rows(host)
        return row?.conflict.length === 1 ? true : undefined
      })
      expect(await rows(host)).toMatchObject([
        {
          ...{ node: "host-c", body: { retry: { attempts: 4 } } },
          conflict: [{ node: "host-a", body: { retry: { attempts: 3 } } }]
        }
      ])
    }
    const table = await on(b, "get")
    expect(table.stdout).toMatch(/^policy +payments .* on host-c .* on host-a /m)
    const doctor = await on(b, "doctor")
    expect(doctor.stdout).toMatch(/‼ settings: policy payments was set apart by \S+ on host-c/)
    expect((await on(b, "status")).stdout).toContain("policy payments was set apart by")
    const [row] = await rows(a)
    const back = await on(a, "rollback", "policy", "payments", row!.conflict[0]!.id)
    expect(back.stderr).toContain("that settles it with 1 other version")
    expect(back.stderr).toContain("seen by 3 of 3 reachable nodes")
    for (const host of [a, b, c]) {
      expect(await rows(host)).toMatchObject([
        { node: "host-a", body: { retry: { attempts: 3 } }, conflict: [] }
      ])
    }
    const history = await on(c, "history", "policy", "payments", "-o", "json")
    const versions: ReadonlyArray<Row> = JSON.parse(history.stdout)
    expect(versions.map(({ body }) => JSON.stringify(body).replace(/\D/g, ""))).toEqual([
      ...["3", "4", "3", "2", "1"]
    ])
  })

  it("are known to a node that starts alone after all were killed", async () => {
    await until("the disks have it", async () => {
      // What a node holds is on its disk a second or two after it changed.
      const [row] = await rows(b)
      return Date.now() - Number(Reflect.get(row ?? {}, "signedAt")) > 5_000 ? true : undefined
    })
    await Promise.all([a, b, c].map((host) => host.kill()))
    await b.up()
    expect(await rows(b)).toMatchObject([{ node: "host-a", body: { retry: { attempts: 3 } } }])
  })
})
