/**
 * The commands against a made-up node. Most run in this process, with what they print caught;
 * what depends on being a process (exit codes, signals, pipes) runs as one.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { Context, Effect, Exit, Layer, Option, Schema, Scope } from "effect"
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest"
import { AdminListening, adminServer } from "../admin/AdminServer.ts"
import { AdminSource } from "../admin/AdminSource.ts"
import { AdminToken } from "../admin/AdminToken.ts"
import { type AdminAddress, formatAdminAddress, ListenAddress } from "../config/HostPort.ts"
import { NodeName, PeerKey } from "../model/Names.ts"
import {
  makeSampleSource,
  sampleActors,
  sampleMembers,
  samplePeers,
  sampleStatus
} from "../testing/SampleSource.ts"
import { controlledNode } from "./ChosenNode.ts"
import { exitCodeOf } from "./CommandFailed.ts"
import { runSkein } from "./Skein.ts"

let scope: Scope.CloseableScope
let admin: string
/** Path of its socket. */
let control: string
let directory: string
let inFlight: Array<number> = []
/** Questions for endpoints so far. */
let asked = 0

const sample = makeSampleSource()
const source = makeSampleSource({
  endpoints: (service) =>
    Effect.suspend(() => {
      asked++
      return sample.endpoints(service)
    }),
  invite: (request) =>
    Effect.map(sample.invite(request), (result) => ({
      ...result,
      warnings: request.ttlMs === 60_000 ? ["no member reaches this node at a", "nor at b"] : []
    })),
  status: Effect.sync(() => ({
    ...sampleStatus,
    control,
    counts: { ...sampleStatus.counts, inFlight: inFlight.shift() ?? 0 }
  }))
})

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "skein-cli-"))
  scope = Effect.runSync(Scope.make())
  mkdirSync(join(directory, "node"))
  control = join(directory, "node", "admin.sock")
  await serving(source, { path: control })
  admin = await serving(source)
})

/** Where a made-up node answers, until all tests are over. */
const serving = async (
  parts: Partial<AdminSource["Type"]>,
  listen: AdminAddress = { host: "127.0.0.1", port: 0 },
  holdsToken?: (authorization: string) => boolean
): Promise<string> => {
  const server = adminServer({ listen, allowRemote: false, holdsToken }).pipe(
    Layer.provide(Layer.succeed(AdminSource, makeSampleSource(parts)))
  )
  const context = await Effect.runPromise(Scope.extend(Layer.build(server), scope))
  return formatAdminAddress(Context.get(context, AdminListening))
}

const manyLinks = Effect.map(sample.links, (links) =>
  Array.from({ length: 4_000 }, () => links).flat()
)

afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  rmSync(directory, { recursive: true, force: true })
})

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** `skein …` in this process. */
const skein = async (...words: ReadonlyArray<string>): Promise<Ran> => {
  let stdout = ""
  let stderr = ""
  vi.spyOn(process.stdout, "write").mockImplementation((text, _encoding, done) => {
    stdout += String(text)
    done?.()
    return true
  })
  vi.spyOn(console, "log").mockImplementation((text) => {
    stdout += `${text}\n`
  })
  vi.spyOn(console, "error").mockImplementation((text) => {
    stderr += `${text}\n`
  })
  const exit = await Effect.runPromiseExit(
    runSkein(["node", "skein", ...words]).pipe(Effect.provide(NodeContext.layer))
  )
  vi.restoreAllMocks()
  return { code: exitCodeOf(exit), stdout, stderr }
}

const asking = (...words: ReadonlyArray<string>) => skein(...words, "--admin", admin)

describe("commands that show", () => {
  it.each([
    ["status", /^state +serving$/m],
    ["members", /^host-b +alive/m],
    ["peers", /^host-b +STALE +alive +late +800ms +12\.5ms/m],
    ["services", /^payments +http +2\/2/m],
    ["endpoints payments", /^host-b +0 +draining/m],
    ["actors", /^Cart +2 +256\/256 +5 +2 +2 +12\.5 +7\.5ms +4 +3 +\S+ ago on host-b: the actor/m],
    [
      "actors Cart",
      /^host-b \(shop\.ts\) +program-0123456789ab +leased +116 +1 .* 800 +0 +5 of 6 +\+0 -12 /m
    ],
    ["actors Cart user-42", /^lives at +host-a \(program\)$/m],
    ["links", /^host-b +open +outbound/m]
  ])("%s: a table, and JSON with every field", async (words, row) => {
    const table = await asking(...words.split(" "))
    expect([table.code, table.stderr]).toEqual([0, ""])
    expect(table.stdout).toMatch(row)
    expect(table.stdout).not.toContain("\u001b")
    const json = await asking(...words.split(" "), "-o", "json")
    expect(json.code).toBe(0)
    expect(JSON.stringify(JSON.parse(json.stdout))).toMatch(/"nodes?":/)
  })

  it("status tells what is announced, and whether others get there, apart from what is open", async () => {
    const { stdout } = await asking("status")
    expect(stdout).toMatch(/^listens +\/ip4\/0\.0\.0\.0\/tcp\/4001$/m)
    expect(stdout).toMatch(
      /^announces +\/ip4\/192\.0\.2\.1\/tcp\/4001 \(reached by host-b, 2m ago\)$/m
    )
  })

  it("members -o json is what the API says", async () => {
    const { stdout } = await asking("members", "-o", "json")
    expect(JSON.parse(stdout)).toEqual(sampleMembers)
  })

  it("peers asks those that are connected, and with --all the others, too", async () => {
    const some = await asking("peers")
    expect(some.stdout).toMatch(/^host-c +UNKNOWN .* not asked: .*--all asks it/m)
    expect(some.stdout).toMatch(/^host-b .*differ, .*; it has record 1\.9$/m)
    const all = await asking("peers", "--all")
    expect(all.stdout).toMatch(/^host-c +SYNCED +alive/m)
    expect(JSON.parse((await asking("peers", "-o", "json")).stdout)).toEqual(samplePeers)
  })

  it("actors tells of a type its busiest, of an actor how it lives, and always who has not said", async () => {
    const silent = /^not in this: host-c: no answer within 2 s$/m
    const type = await asking("actors", "Cart")
    expect(type.stdout).toMatch(/^user-42 +host-a +ready +2 +1 +64 +\S+ +\S+ ago +63$/m)
    expect(type.stdout).toMatch(silent)
    const one = await asking("actors", "Cart", "user-42")
    expect(one.stdout).toMatch(/^mailbox +2 messages waiting, 1 being handled$/m)
    expect(one.stdout).toMatch(/^saved +version 63$/m)
    expect(one.stdout).toMatch(silent)
    const other = await asking("actors", "Cart", "user-7")
    expect(other.stdout).toMatch(/^state +not in memory: its next message begins it$/m)
    expect(JSON.parse((await asking("actors", "-o", "json")).stdout)).toEqual(sampleActors)
  })

  it("an unknown service: the node's own words and hint, exit code 1", async () => {
    expect(await asking("endpoints", "nobody")).toEqual({
      code: 1,
      stdout: "",
      stderr: "skein: no node offers nobody\n  Check spelling with `skein services`.\n"
    })
  })
})

describe("which node is asked", () => {
  const nobody = "127.0.0.1:1"
  it("SKEIN_ADMIN, unless --admin says otherwise", async () => {
    vi.stubEnv("SKEIN_ADMIN", admin)
    expect((await skein("status")).code).toBe(0)
    expect((await skein("status", "--admin", nobody)).stderr).toContain(nobody)
  })

  it("the config's admin, by --config or SKEIN_CONFIG", async () => {
    const path = join(directory, "admin.yaml")
    writeFileSync(path, `admin: ${admin}\n`)
    expect((await skein("status", "--config", path)).code).toBe(0)
    vi.stubEnv("SKEIN_CONFIG", path)
    expect((await skein("status")).code).toBe(0)
    vi.stubEnv("SKEIN_ADMIN", nobody)
    expect((await skein("status")).stderr).toContain(nobody)
    // Typed for this one command.
    expect((await skein("status", "--config", path)).code).toBe(0)
  })

  it("a config without admin API: says so instead of asking somebody else", async () => {
    const path = join(directory, "off.yaml")
    writeFileSync(path, "admin: off\n")
    const { code, stderr } = await skein("status", "--config", path)
    expect(code).toBe(1)
    expect(stderr).toContain("off.yaml has admin: off")
  })

  it("nobody there: where, why and what to do, exit code 1", async () => {
    expect(await skein("members", "--admin", nobody)).toEqual({
      code: 1,
      stdout: "",
      stderr: `skein: no node answers at ${nobody}: connection refused\n  Start it with \`skein up\`, or name its admin address with --admin.\n`
    })
  })
})

describe("what changes a node", () => {
  it("goes to the socket that the port tells of", async () => {
    const { code, stdout } = await asking("invite")
    expect([code, stdout]).toEqual([0, "skein1-*.admit\n"])
  })

  it("goes to the socket of a data directory, or of the config's", async () => {
    const dataDir = join(directory, "node")
    expect((await skein("reload", "--data-dir", dataDir)).stderr).toContain("timout")
    const path = join(directory, "control.yaml")
    // Nobody is at its port: it is not asked.
    writeFileSync(path, "node: { dataDir: node }\nadmin: 127.0.0.1:1\n")
    expect((await skein("drain", "--config", path)).code).toBe(0)
    expect((await skein("status", "--config", path)).code).toBe(0)
    vi.stubEnv("SKEIN_DATA_DIR", dataDir)
    expect((await skein("drain", "--no-wait")).code).toBe(0)
    const nobody = await skein("drain", "--data-dir", directory)
    expect(nobody.stderr).toContain(`no node answers at unix:${directory}/admin.sock`)
  })

  const elsewhere = (path: string | null) =>
    serving({ status: Effect.succeed({ ...sampleStatus, control: path }) })

  it("is refused where there is no socket, with what can be done", async () => {
    const gone = await skein("drain", "--admin", await elsewhere("/nowhere/admin.sock"))
    expect(gone.code).toBe(1)
    expect(gone.stderr).toContain(
      "takes changes at the socket /nowhere/admin.sock, which is not here"
    )
    expect(gone.stderr).toContain("run this command there")
    expect(gone.stderr).toContain("--admin-token FILE")
    const none = await skein("drain", "--admin", await elsewhere(null))
    expect(none.stderr).toContain("has no control socket for now; its log says why")
  })

  it("goes over the port with the token, which no message shows", async () => {
    const tokens = new AdminToken(join(directory, "admin.token"))
    await Effect.runPromise(tokens.keep)
    const at = await serving({}, undefined, tokens.isHeldBy)
    const invite = (file: string) => skein("invite", "--admin", at, "--admin-token", file)
    expect((await invite(tokens.path)).code).toBe(0)
    vi.stubEnv("SKEIN_ADMIN_TOKEN_FILE", tokens.path)
    expect((await skein("invite", "--admin", at)).code).toBe(0)
    const other = new AdminToken(join(directory, "other.token"))
    await Effect.runPromise(other.keep)
    const wrong = await invite(other.path)
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).toContain("a token that is not this node's")
    writeFileSync(other.path, "secret")
    const broken = await invite(other.path)
    expect(broken.stderr).toContain(`${other.path} holds no admin token`)
    expect(wrong.stderr + broken.stderr).not.toMatch(/secret|skein-admin-/)
    expect((await invite(join(directory, "no.token"))).stderr).toContain("ENOENT")
  })

  it("is not done before one of several nodes on the host is chosen", async () => {
    const status = { ...sampleStatus, node: NodeName.make("host-z"), dataDir: "/srv/z" }
    const peer = PeerKey.make(samplePeers[1]?.peer ?? "")
    const second = await serving({ status: Effect.succeed({ ...status, peer }) })
    const places = [admin, second].map((text) => Schema.decodeSync(ListenAddress)(text))
    const nothing = { admin: Option.none(), config: Option.none(), dataDir: Option.none() }
    const chosen = await Effect.runPromise(Effect.flip(controlledNode(nothing, places)))
    expect(chosen.message).toMatch(
      /^there is more than one node on this host: host-a \(data directory \/var\/lib\/skein\), host-z \(data directory \/srv\/z\); say which with --data-dir/
    )
    // The same node at two places is one.
    const one = await Effect.runPromise(
      controlledNode(nothing, [{ path: control }, ...places.slice(0, 1)])
    )
    expect(one).toEqual({ path: control })
  })
})

describe("wrong usage is exit code 2, and says what is wrong", () => {
  it.each([
    [
      "nonsense",
      /^skein: there is no command "nonsense"\n {2}`skein --help` says which there are\./
    ],
    ["lynks", /there is no command "lynks"; did you mean links\?/],
    ["start", /there is no command "start"; did you mean up\?/],
    ["validate", /did you mean config check\?/],
    ["config chek", /there is no command "config chek"; did you mean check\?/],
    ["--verson", /skein has no option --verson; did you mean --version\?/],
    [
      "members --wach",
      /members has no option --wach; did you mean --watch\?\n {2}`skein members --help`/
    ],
    ["init --dat-dir=x", /init has no option --dat-dir; did you mean --data-dir\?/],
    ["status -x", /status has no option -x$/m],
    ["init extra", /init takes no arguments, and not "extra"/],
    ["endpoints a b", /endpoints takes NAME and no more, and not "b"/],
    ["up --config", /--config needs a value: --config file/],
    ["up --config --admin 127.0.0.1:1", /--config needs a value: --config file/],
    ["endpoints", /endpoints needs NAME: A service, without \.mesh/],
    ["endpoints No_Name", /NAME: "No_Name": a service name is/],
    ["status --no-such-flag", /--no-such-flag/],
    ["status -o yaml", /-o "yaml" is not one of table, json/],
    ["status --output=jsn", /--output "jsn" is not one of table, json; did you mean json\?/],
    ["status --admin nowhere", /--admin: "nowhere" is not host:port or unix:\/path/],
    ["invite --ttl soon", /--ttl: "soon" is not a duration/],
    ["invite --ttl 0s", /--ttl: .*too short; the least is 1s/],
    ["invite --ttl 31d", /--ttl: .*too long; the most is 30d/],
    [
      "invite --capabilities admit,revok",
      /--capabilities: "revok" is not one of admit, policy, revoke; did you mean revoke\?/
    ],
    ["invite --services We_b,shop-*", /--services: "We_b" is not a service pattern; write/],
    ["invite --services ,", /--services: \[\] is not a list with at least one entry/],
    ["join", /TOKEN/],
    ["revoke ", /say whom or what to revoke: NODE, NODE\/SERVICE/],
    ["forget ", /say which node is gone for good/],
    ["up", /--config FILE, or SKEIN_CONFIG/],
    ["init", /--data-dir DIR, or SKEIN_DATA_DIR/]
  ])("skein %s", async (words, reason) => {
    const { code, stdout, stderr } = await skein(...words.split(" "))
    expect(code).toBe(2)
    expect(stdout).toBe("")
    expect(stderr).toMatch(reason)
    expect(stderr).not.toContain("\u001b")
  })

  it("a wrong variable too", async () => {
    vi.stubEnv("SKEIN_ADMIN", "nowhere")
    const wrong = await skein("status")
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toBe('skein: SKEIN_ADMIN: "nowhere" is not host:port or unix:/path\n')
    vi.stubEnv("SKEIN_LOG_LEVEL", "loud")
    const loud = await skein("status", "--admin", admin)
    expect(loud.code).toBe(2)
    expect(loud.stderr).toBe(
      'skein: SKEIN_LOG_LEVEL: "loud" is not one of trace, debug, info, warning, error, none\n'
    )
  })
})

describe("help", () => {
  it("of all commands: what each is for, and the options of every one", async () => {
    for (const words of [[], ["--help"], ["-h"], ["help"]]) {
      const { code, stdout, stderr } = await skein(...words)
      expect([code, stderr]).toEqual([0, ""])
      expect(stdout).toMatch(/^skein \d+\.\d+\.\d+: A service mesh without control plane\n/)
      expect(stdout).toMatch(/^ {2}skein COMMAND$/m)
      expect(stdout).toMatch(/^ {2}init +Make a new mesh/m)
      expect(stdout).toMatch(/^ {2}--log-level all \| trace/m)
    }
  })

  it("of one: how it is called, its own options, and nothing twice", async () => {
    for (const words of [
      "endpoints --help",
      "endpoints -h",
      "--help endpoints",
      "help endpoints"
    ]) {
      const { code, stdout, stderr } = await skein(...words.split(" "))
      expect([code, stderr]).toEqual([0, ""])
      expect(stdout).toContain(`
USAGE
  skein endpoints NAME [--admin host:port] [--config file] [--data-dir directory] [--output table | json] [--watch]
`)
      expect(stdout).toMatch(/^ {2}NAME {2}A service, without \.mesh$/m)
      expect(stdout).toMatch(/^ {2}-w, --watch +Show again every second, until Ctrl-C$/m)
      expect(stdout).not.toMatch(/wizard|completions|user-defined|optional/)
    }
  })

  it("of every command, each of which says what its options are for", async () => {
    const all = (await skein()).stdout.match(/^ {2}[a-z]+(?= {2,}[A-Z])/gm) ?? []
    expect(all.length).toBe(31)
    for (const name of all.map((line) => line.trim())) {
      const { stdout } = await skein(name, "--help")
      expect(stdout).toMatch(new RegExp(`^skein ${name}: .`))
      for (const line of stdout.split("\n")) {
        if (/^ {2}(-|[A-Z]+( |$))/.test(line)) expect(line).toMatch(/^ {2}\S.* {2}[A-Za-z].{5}/)
        expect(line).not.toContain("This option")
      }
    }
  })

  it("of a command within another", async () => {
    expect((await skein("config")).stdout).toMatch(/^ {2}check +Say every problem/m)
    expect((await skein("config", "check", "--help")).stdout).toContain("skein config check [FILE]")
  })

  it("completions and the version are the library's", async () => {
    expect((await skein("--version")).stdout.trim()).toMatch(/^\d+\.\d+\.\d+$/)
    expect((await skein("--completions", "bash")).stdout).toContain("invite")
  })
})

describe("commands that act", () => {
  it("invite prints the token alone on stdout", async () => {
    const plain = await asking("invite")
    expect([plain.code, plain.stdout]).toEqual([0, "skein1-*.admit\n"])
    const narrow = await asking("invite", "--services", "a, b-*", "--capabilities", "none")
    expect(narrow.stdout).toBe("skein1-a.b-*\n")
    expect(narrow.stderr).not.toContain("warning")
  })

  it("invite warns beside the token of what it may not lead to", async () => {
    const { code, stdout, stderr } = await asking("invite", "--ttl", "1m")
    expect([code, stdout]).toEqual([0, "skein1-*.admit\n"])
    expect(stderr).toMatch(/^warning: no member reaches this node at a\nwarning: nor at b\n/)
  })

  it("drain waits until nothing is in flight; --no-wait does not", async () => {
    inFlight = [2, 1]
    const waited = await asking("drain")
    expect([waited.code, waited.stdout]).toEqual([0, ""])
    expect(waited.stderr).toMatch(/^draining: announced to 1 of 1 member/)
    expect(waited.stderr).toContain("drained: nothing is in flight")
    expect(inFlight).toEqual([])
    inFlight = [5]
    const at = await asking("drain", "--no-wait")
    expect(at.stderr).not.toContain("drained")
    inFlight = []
  })

  it("leave and a refused reload", async () => {
    expect((await asking("leave")).stderr).toBe("left: told 1 member; the node stops\n")
    const refused = await asking("reload")
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain("skein.yaml:5:5: policies.pay.timout")
  })

  it("await: at once when it is there, exit code 1 and what was seen when it is not", async () => {
    const there = await asking("await", "payments")
    expect([there.code, there.stderr]).toEqual([0, "payments is there: 1 usable endpoint\n"])
    const missing = await asking("await", "nobody", "--timeout", "300ms")
    expect(missing.code).toBe(1)
    expect(missing.stderr).toBe("skein: nobody was not there within 300ms: no node offers nobody\n")
  })

  it("init makes private keys and never overwrites them", async () => {
    const path = join(directory, "first")
    const made = await skein("init", "--data-dir", path, "--mesh", "shop", "--name", "host-x")
    expect([made.code, made.stdout]).toEqual([0, ""])
    expect(made.stderr).toMatch(/^new mesh shop \([0-9a-f]{32}\)\n {2}node {2}host-x, peer 12D3/)
    const keys = readdirSync(path).filter((name) => name.endsWith(".key"))
    expect(keys.length).toBeGreaterThan(0)
    for (const name of keys) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600)
    // What it says to do next can be done as it stands.
    const written = /(node: \{.*\})$/m.exec(made.stderr)?.[1] ?? ""
    const config = join(directory, "init.yaml")
    writeFileSync(config, written)
    expect((await skein("config", "check", config)).stderr).toContain("is right: node host-x,")
    const again = await skein("init", "--data-dir", path)
    expect(again.code).toBe(1)
    expect(again.stderr).toContain(path)
  })

  it("config check says every problem; config schema prints JSON", async () => {
    const path = join(directory, "wrong.yaml")
    writeFileSync(path, "nodes: {}\ndrain: { deadline: soon }\n")
    const wrong = await skein("config", "check", path)
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).toMatch(/has 2 problems\n.*:1:1: nodes: .*\n.*:2:20: drain\.deadline: /)
    const schema = await skein("config", "schema")
    expect(JSON.parse(schema.stdout)["$defs"]).toBeDefined()
    const settings = await skein("config", "schema", "settings")
    expect(JSON.parse(settings.stdout)["$defs"]["AccessRule"]).toBeDefined()
    expect((await skein("config", "schema", "setings")).code).toBe(2)
  })

  it("config check warns of what is right and may not be meant", async () => {
    const path = join(directory, "empty.yaml")
    writeFileSync(path, "# nothing yet\n")
    const { code, stderr } = await skein("config", "check", path)
    expect(code).toBe(0)
    expect(stderr).toMatch(/^warning: .*empty\.yaml: nothing stands in it/)
    expect(stderr).toContain("empty.yaml is right")
    writeFileSync(path, "programs: [{ listen: unix:a.sock }, { listen: unix:b.sock, as: shop }]\n")
    expect((await skein("config", "check", path)).stderr).toContain(
      ", 0 services, 2 places for programs, 0 upstreams, policies for 0 services"
    )
    writeFileSync(path, "# nothing yet\n")
    const doctor = await skein("doctor", "--config", path, "--admin", admin)
    expect(doctor.stdout).toMatch(/‼ config: .*empty\.yaml: nothing stands in it/)
  })

  it("config check warns of a user whom this host does not know", async () => {
    const path = join(directory, "users.yaml")
    writeFileSync(
      path,
      "outbound: { listeners: [{ listen: 127.0.0.1:1, as: web, uid: no-such-user }] }\n"
    )
    const { code, stderr } = await skein("config", "check", path)
    expect(code).toBe(0)
    expect(stderr).toMatch(
      /^warning: .*: outbound\.listeners\[0\]\.uid: .* has no user no-such-user/
    )
  })

  it("dns remove goes by the config, whose node need not run any more", async () => {
    const path = join(directory, "names.yaml")
    writeFileSync(path, "dns: { suffix: corp }\n")
    const { stderr } = await skein("dns", "remove", "--root", directory, "--config", path)
    expect(stderr).toContain("nothing of *.corp is installed on this host")
    const plain = await skein("dns", "remove", "--root", directory)
    expect(plain.stderr).toContain("nothing of *.mesh is installed")
  })

  it("up on a wrong config starts nothing, exit code 1", async () => {
    const path = join(directory, "up.yaml")
    writeFileSync(path, "node:\n  nam: x\n")
    const { code, stderr } = await skein("up", "--config", path)
    expect(code).toBe(1)
    expect(stderr).toContain("up.yaml:2:3: node.nam: unknown key nam; did you mean name?")
  })
})

describe("doctor", () => {
  it("exit code 1 and × for what is broken, with a hint", async () => {
    const { code, stdout, stderr } = await asking("doctor")
    expect([code, stderr]).toEqual([1, ""])
    expect(stdout).toContain("√ live: host-a")
    expect(stdout).toContain("× ledger-db: none of 1 endpoint is healthy")
    expect(stdout).toContain("skein endpoints ledger-db")
  })

  it("JSON for programs", async () => {
    const { code, stdout } = await asking("doctor", "-o", "json")
    const report = JSON.parse(stdout)
    expect([code, report.ok]).toEqual([1, false])
    expect(report.groups.map(({ name }: { name: string }) => name)).toEqual([
      "this host",
      "this node",
      "the mesh",
      "services",
      "telemetry"
    ])
  })

  it("examines the host when no node runs: config, keys, ports", async () => {
    const path = join(directory, "host.yaml")
    const taken = admin.split(":")[1]
    writeFileSync(
      path,
      `node: { dataDir: ., listen: [/ip4/127.0.0.1/tcp/0] }\nadmin: 127.0.0.1:1\noutbound: { http: 127.0.0.1:${taken} }\n`
    )
    const { code, stdout } = await skein("doctor", "--config", path)
    expect(code).toBe(1)
    expect(stdout).toContain("is valid")
    expect(stdout).toContain(`× outbound.http: 127.0.0.1:${taken} is in use`)
    expect(stdout).toContain("× live: no node answers at 127.0.0.1:1")
    writeFileSync(path, "nam: x\n")
    const wrong = await skein("doctor", "--config", path, "--admin", "127.0.0.1:1")
    expect(wrong.stdout).toMatch(/× config: .*host\.yaml:1:1: nam: unknown key/)
  })
})

describe("as a process", () => {
  const main = join(import.meta.dirname, "..", "main.ts")
  const start = (...words: ReadonlyArray<string>): ChildProcess =>
    spawn(process.execPath, [main, ...words], { stdio: ["ignore", "pipe", "pipe"] })

  const ended = (child: ChildProcess): Promise<Ran> =>
    new Promise((resolve) => {
      let stdout = ""
      let stderr = ""
      child.stdout?.on("data", (text) => {
        stdout += text
      })
      child.stderr?.on("data", (text) => {
        stderr += text
      })
      child.on("close", (code) => resolve({ code: code ?? -1, stdout, stderr }))
    })

  it("exit codes 0, 1 and 2; data on stdout, words on stderr", async () => {
    const [done, failed, wrong] = await Promise.all([
      ended(start("links", "-o", "json", "--admin", admin)),
      ended(start("links", "--admin", "127.0.0.1:1")),
      ended(start("lynks"))
    ])
    expect([done.code, failed.code, wrong.code]).toEqual([0, 1, 2])
    expect(JSON.parse(done.stdout)).toHaveLength(1)
    expect([done.stderr, failed.stdout, wrong.stdout]).toEqual(["", "", ""])
    expect(failed.stderr).not.toMatch(/\bat .*:\d+:\d+/)
  })

  it("says all it has to say, however slowly it is read", async () => {
    const child = start("links", "-o", "json", "--admin", await serving({ links: manyLinks }))
    const reading = ended(child)
    child.stdout?.pause()
    await new Promise((resolve) => child.stdout?.once("readable", resolve))
    child.stdout?.resume()
    const { code, stdout } = await reading
    expect(code).toBe(0)
    expect(stdout.length).toBeGreaterThan(2 ** 20)
    expect(JSON.parse(stdout)).toEqual(await Effect.runPromise(manyLinks))
  })

  it("--watch shows again until Ctrl-C, which is success; JSON one value per line", async () => {
    const child = start("links", "--watch", "-o", "json", "--admin", admin)
    const result = ended(child)
    let seen = ""
    await new Promise<void>((resolve) => {
      child.stdout?.on("data", (text) => {
        seen += text
        if (seen.split("\n").length > 2) resolve()
      })
    })
    child.kill("SIGINT")
    const { code, stdout } = await result
    expect(code).toBe(0)
    for (const line of stdout.trim().split("\n")) expect(JSON.parse(line)).toHaveLength(1)
  })

  it("Ctrl-C on a command that was to finish is not success", async () => {
    asked = 0
    const child = start("await", "nobody", "--admin", admin)
    const result = ended(child)
    // Interrupting before it has begun would test Node, not us: it asks the node when it has.
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (asked > 0) {
          clearInterval(timer)
          resolve()
        }
      }, 20)
    })
    child.kill("SIGINT")
    expect((await result).code).toBe(130)
  })

  it("a reader that has seen enough is no error", async () => {
    const child = start("links", "--watch", "--admin", admin)
    let stderr = ""
    child.stderr?.on("data", (text) => {
      stderr += text
    })
    await new Promise((resolve) => child.stdout?.once("data", resolve))
    child.stdout?.destroy()
    const code = await new Promise((resolve) => child.on("exit", resolve))
    expect([code, stderr]).toEqual([0, ""])
  })
})
