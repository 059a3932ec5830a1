/** docs/metrics.md names what a running node has: its metrics, their labels and values, its paths. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as HttpApi from "@effect/platform/HttpApi"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { AdminApi } from "../../src/admin/AdminApi.ts"
import { PeerStatus } from "../../src/admin/PeerModel.ts"
import { EndpointStatus } from "../../src/admin/ServiceModel.ts"
import { makeNodeConfig } from "../../src/config/NodeConfig.ts"
import { findingKinds } from "../../src/mesh/catalogue/MeshFindings.ts"
import { initMesh } from "../../src/mesh/keys/DataDir.ts"
import { NodeName } from "../../src/model/Names.ts"
import { runNode } from "../../src/node.ts"
import type { AnyFamily } from "../../src/request/cells/Family.ts"
import { MetricRegistry } from "../../src/request/cells/Metrics.ts"

const root = join(import.meta.dirname, "../..")
const docs = readFileSync(join(root, "docs/metrics.md"), "utf8")
const directory = mkdtempSync(join(tmpdir(), "skein-metrics-"))
let families: ReadonlyArray<AnyFamily> = []

/** Cells of the rows of the tables under this head. */
const rows = (head: string): ReadonlyArray<ReadonlyArray<string>> =>
  docs
    .split(`${head}\n`)
    .slice(1)
    .flatMap((text) => (/^\|[-|]+\|\n((?:\|.*\n)*)/.exec(text)?.[1] ?? "").trim().split("\n"))
    .filter((row) => row !== "")
    .map((row) => row.slice(2, -2).split(" | "))

const quoted = (text = ""): ReadonlyArray<string> =>
  [...text.matchAll(/`([^`]+)`/g)].map(([, word = ""]) => word)

beforeAll(async () => {
  // What renders the text is what knows the registry.
  const collect = vi.spyOn(MetricRegistry.prototype, "collect")
  const test = Effect.gen(function* () {
    yield* initMesh({
      dataDir: directory,
      meshName: "test",
      nodeName: NodeName.make("host-a"),
      now: Date.now()
    })
    const config = makeNodeConfig({
      // Requests in this thread, so that what they count is seen here as well.
      node: { name: "host-a", dataDir: directory, listen: ["/ip4/127.0.0.1/tcp/0"], threads: 0 },
      admin: "127.0.0.1:0",
      outbound: { http: "127.0.0.1:0" },
      telemetry: { otlp: "http://127.0.0.1:9", accessLog: join(directory, "access.log") },
      audit: { otlp: "http://127.0.0.1:9" }
    })
    const node = yield* runNode({ config })
    yield* node.source.metrics
    const byName = new Map<string, AnyFamily>()
    for (const registry of collect.mock.contexts) {
      if (!(registry instanceof MetricRegistry)) throw new Error("not what is collected")
      for (const [name, family] of registry.families) byName.set(name, family)
    }
    families = [...byName.values()]
  })
  await Effect.runPromise(Effect.scoped(test))
  collect.mockRestore()
}, 60_000)

afterAll(() => {
  vi.restoreAllMocks()
  rmSync(directory, { recursive: true, force: true })
})

describe("docs/metrics.md", () => {
  it("lists every metric of a running node, with its type, labels and meaning", () => {
    const listed = rows("| metric | type | labels | meaning |").map((row) => row.join(" | "))
    const real = families.map(
      ({ name, kind, labels, help }) =>
        `\`${name}\` | ${kind} | ${(labels ?? ["not declared"]).map((label) => `\`${label}\``).join(", ")} | ${help}`
    )
    expect(listed.toSorted()).toEqual(real.toSorted())
  })

  it("says of every label what it can be", () => {
    const explained = rows("| label | values | how many |").flatMap(([label]) => quoted(label))
    const used = new Set(families.flatMap(({ labels }) => labels ?? []))
    expect(explained.toSorted()).toEqual([...used].toSorted())
  })

  it("names all states of endpoints and all kinds of findings", () => {
    const names = (head: string) => rows(head).flatMap(([name]) => quoted(name))
    expect(names("| state | in use | meaning |").toSorted()).toEqual(
      EndpointStatus.fields.state.literals.toSorted()
    )
    expect(names("| kind | meaning |")).toEqual(findingKinds)
    expect(names("| sync | meaning |")).toEqual(PeerStatus.fields.sync.literals)
  })

  it("names every path of the admin API, and shows an example of each", () => {
    const paths: Array<string> = []
    HttpApi.reflect(AdminApi, {
      onGroup: () => undefined,
      onEndpoint: ({ endpoint }) => paths.push(`${endpoint.method} ${endpoint.path}`)
    })
    const listed = rows("| path | answers |").flatMap(([path]) => quoted(path))
    expect(listed.toSorted()).toEqual(paths.toSorted())
    for (const path of paths) {
      const [method = "", url = ""] = path.split(" ")
      // What changes something is asked for at the socket.
      const at = method === "GET" ? "127.0.0.1:4191" : "localhost"
      expect(docs).toContain(
        `http://${at}${url.replace(":kind", "policy").replace(":name", "web")}`
      )
    }
  })

  it("points at what is there", () => {
    const sectionsOf = (text: string) =>
      [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
        title
          .toLowerCase()
          .replaceAll(/[^\w -]/g, "")
          .replaceAll(" ", "-")
      )
    const targets = [...docs.matchAll(/\]\(([^)]+)\)/g)].map(([, target = ""]) => target)
    const missing = targets.filter((target) => {
      const [file = "", section] = target.split("#")
      const path = file === "" ? join(root, "docs", "metrics.md") : join(root, "docs", file)
      if (!existsSync(path)) return true
      return section !== undefined && !sectionsOf(readFileSync(path, "utf8")).includes(section)
    })
    expect(missing).toEqual([])
  })
})
