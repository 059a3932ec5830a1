/** docs/policies.md tells the truth, as far as a program can tell. */
import { spawnSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { Either, Schema } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import { parse } from "yaml"
import { decodeConfig } from "../../src/config/ConfigFile.ts"
import { parseConfigText } from "../../src/config/ConfigText.ts"
import { decodeNodeConfig } from "../../src/config/NodeConfig.ts"
import { PeerKey } from "../../src/model/Names.ts"
import { ExchangeFamilies } from "../../src/request/cells/ExchangeCells.ts"
import { MetricRegistry } from "../../src/request/cells/Metrics.ts"
import { InboundMetrics } from "../../src/request/inbound/InboundMetrics.ts"
import { PolicyMetrics } from "../../src/request/outbound/PolicyMetrics.ts"
import { observeStandings } from "../../src/request/outbound/StandingMetrics.ts"
import { verdicts } from "../../src/request/policy/Classifier.ts"
import {
  decodePolicy,
  defaultPolicy,
  Policy,
  RetryCondition
} from "../../src/schema/PolicySchema.ts"

const root = join(import.meta.dirname, "../..")
const docs = readFileSync(join(root, "docs/policies.md"), "utf8")

const blocks = [...docs.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, kind, text = ""]) => ({
  kind,
  text
}))
const textsOf = (kind: string): ReadonlyArray<string> =>
  blocks.filter((block) => block.kind === kind).map(({ text }) => text)

/** `{ a: { b: 1 } }` → `a.b` */
const paths = (value: unknown, at = ""): ReadonlyArray<string> =>
  typeof value !== "object" || value === null || Array.isArray(value)
    ? [at.slice(1)]
    : Object.entries(value).flatMap(([key, inner]) => paths(inner, `${at}.${key}`))

const put = (path: string, value: unknown): unknown =>
  path.split(".").reduceRight<unknown>((inner, key) => ({ [key]: inner }), value)

describe("the defaults that are printed", () => {
  const rows = [...docs.matchAll(/^\| field \| default \| meaning \|\n.*\n((?:\|.*\n)+)/gm)]
    .flatMap(([, body = ""]) => body.trim().split("\n"))
    .map((row) => /^\| `([\w.]+)` \| (?:`(.+?)`|(none)) \|/.exec(row) ?? [row])

  it("are of every field, once", () => {
    const all = [...paths(Schema.encodeSync(Policy)(defaultPolicy)), "timeout.request"]
    expect(rows.map(([row, path]) => path ?? row).toSorted()).toEqual(
      [...all, "timeout.perTry"].toSorted()
    )
  })

  it.each(rows)("%s", (_, path = "", value) => {
    if (value === undefined) expect(["timeout.request", "timeout.perTry"]).toContain(path)
    else {
      // Said or not said, it is the same; a variant of balancing is told by its kind.
      const policy = path.startsWith("balance.")
        ? put("balance", { kind: "p2c_ewma", [path.slice("balance.".length)]: parse(value) })
        : put(path, parse(value))
      expect(decodePolicy(policy)).toEqual(Either.right(defaultPolicy))
    }
  })
})

describe("the examples", () => {
  const directory = mkdtempSync(join(tmpdir(), "skein-docs-"))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  const scripts = textsOf("ts")

  it("in YAML are configs that a node takes", () => {
    for (const text of textsOf("yaml")) {
      expect(
        Either.getOrElse(decodeNodeConfig(parse(text)), (problems) => problems)
      ).toHaveProperty("policies")
    }
  })

  it("in TypeScript compile, as a program that has installed the package", () => {
    symlinkSync(join(root, "node_modules"), join(directory, "node_modules"))
    const files = scripts.map((_, index) => `example${index}.ts`)
    scripts.forEach((text, index) => {
      writeFileSync(join(directory, files[index]!), text)
    })
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }')
    const paths = { skein: [join(root, "src/mod.ts")] }
    const config = { extends: join(root, "tsconfig.json"), files, include: [] }
    writeFileSync(
      join(directory, "tsconfig.json"),
      JSON.stringify({ ...config, compilerOptions: { paths } })
    )
    const tsc = join(root, "node_modules/typescript/bin/tsc")
    const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", directory], {
      encoding: "utf8"
    })
    expect(stdout).toBe("")
    expect(status).toBe(0)
  }, 60_000)

  it("in TypeScript make the policies that stand in YAML above them", () => {
    const run = join(directory, "run")
    mkdirSync(run)
    symlinkSync(join(root, "node_modules"), join(run, "node_modules"))
    writeFileSync(join(run, "package.json"), '{ "type": "module" }')
    const library = pathToFileURL(join(root, "src/mod.ts")).href
    const imports = scripts.map((text, index) => {
      writeFileSync(join(run, `example${index}.ts`), text.replace('"skein"', `"${library}"`))
      return `await import("./example${index}.ts")`
    })
    writeFileSync(
      join(run, "main.ts"),
      `console.log(JSON.stringify([${imports}].map((all) => ({ ...all }))))`
    )
    const { stdout, stderr } = spawnSync(process.execPath, [join(run, "main.ts")], {
      encoding: "utf8"
    })
    expect(stderr).toBe("")
    const made: ReadonlyArray<unknown> = JSON.parse(stdout)
    const pairs = blocks.flatMap(({ kind, text }, index) =>
      kind === "yaml" && blocks[index + 1]?.kind === "ts"
        ? [{ yaml: text, script: scripts.indexOf(blocks[index + 1]!.text) }]
        : []
    )
    expect(pairs.length).toBe(textsOf("yaml").length)
    for (const { yaml, script } of pairs) {
      const { policies } = Either.getOrThrow(decodeNodeConfig(parse(yaml)))
      expect(made[script]).toEqual(policies)
    }
  }, 60_000)

  it("of what is refused says what is said", () => {
    const [text = ""] = textsOf("text")
    const parsed = parseConfigText(
      "policies:\n  payments:\n    retry: { on: [connect_failure, reset, 5xx, timeout] }\n"
    )
    if (!("locate" in parsed)) throw new Error("the example is no YAML")
    const refused = Either.flip(decodeConfig(parsed, "skein.yaml"))
    expect(Either.getOrThrow(refused).message).toBe(text.trim())
  })
})

describe("what it points at", () => {
  it("metrics", () => {
    const registry = new MetricRegistry()
    new PolicyMetrics(registry)
    new ExchangeFamilies(registry)
    observeStandings(
      registry,
      () => [],
      () => 0
    )
    new InboundMetrics(registry, PeerKey.make("12D3KooWTestTestTestTestTest1"))
    const named = new Set(docs.match(/\bskein_[a-z_]+\b/g))
    expect(named.size).toBeGreaterThan(8)
    expect([...named].filter((name) => !registry.families.has(name))).toEqual([])
  })

  it("verdicts and conditions: all of them", () => {
    const names = [...RetryCondition.literals, ...Object.values(verdicts).map(({ name }) => name)]
    for (const name of names) expect(docs).toContain(`\`${name}\``)
  })

  const links = [...docs.matchAll(/\]\(([^)]+)\)(?: › "([^"]+)")?/g)].map(
    ([, target = "", title]) => ({ target, title })
  )
  it.each(links.filter(({ target }) => !target.startsWith("#")))("$target", ({ target, title }) => {
    const file = join(dirname(join(root, "docs/policies.md")), target)
    expect(existsSync(file)).toBe(true)
    if (title !== undefined) expect(readFileSync(file, "utf8")).toContain(title)
  })

  it("sections of its own", () => {
    const sections = [...docs.matchAll(/^#+ (.+)$/gm)].map(
      ([, title = ""]) => `#${title.toLowerCase().replaceAll(" ", "-")}`
    )
    const wanted = links.map(({ target }) => target).filter((target) => target.startsWith("#"))
    expect(wanted.filter((target) => !sections.includes(target))).toEqual([])
  })
})
