/**
 * Imports go one way. Fails when a file imports from its own level's neighbours or from above, or from the
 * other plane, when a folder has no level, and on any cycle between files (type imports count).
 * Run by `npm run check:levels`.
 */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"

const levels: Readonly<Record<string, number>> = {
  model: 0,
  schema: 1,
  config: 2,
  "request/socket": 2,
  "request/http1": 2,
  "request/policy": 2,
  "request/cells": 2,
  "request/access": 2,
  "request/wire": 3,
  "request/link": 4,
  "request/http2": 4,
  "request/outbound": 5,
  "request/inbound": 5,
  "request/listener": 6,
  request: 7,
  "mesh/actor": 2,
  "mesh/trust": 2,
  "mesh/keys": 3,
  "mesh/host": 3,
  "mesh/discovery": 3,
  "mesh/membership": 4,
  "mesh/catalogue": 4,
  "mesh/settings": 4,
  "mesh/health": 4,
  telemetry: 8,
  dns: 8,
  api: 8,
  admin: 9,
  entity: 9,
  cluster: 10,
  testing: 10,
  node: 10,
  "node.ts": 11,
  "NodeLives.ts": 12,
  "meshThread.ts": 12,
  "SkeinNode.ts": 12,
  "Skein.ts": 11,
  cli: 13,
  boot: 14,
  "main.ts": 15,
  "mod.ts": 14,
  "rpc.ts": 14,
  "actors.ts": 14,
  "cluster.ts": 14,
  "postgres.ts": 14
}

/** The planes: neither knows the other; `node` joins them. */
const wings = ["request", "mesh"]
const wingOf = (unit: string): string | undefined =>
  wings.find((wing) => unit === wing || unit.startsWith(`${wing}/`))

/** What a request thread loads: nothing but itself, plain words and the runtime. */
const bare = (unit: string): boolean => unit === "model" || wingOf(unit) === "request"

const root = join(import.meta.dirname, "..")
const source = join(root, "src")
const files = globSync("**/*.ts", { cwd: source }).filter((file) => !file.endsWith(".test.ts"))
const problems: Array<string> = []
/** Between the planes, or out of what request threads load. */
const crossings: Array<string> = []

const unitOf = (file: string): string => {
  const [first, second, third] = file.split("/")
  if (!wings.includes(first!)) return first!
  return third === undefined ? first! : `${first}/${second}`
}
const importPattern = /(?:from|import)\s*\(?\s*"([@./a-z][^"\\]*)"/g

const graph = new Map<string, Array<string>>()
for (const file of files) {
  const unit = unitOf(file)
  const level = levels[unit]
  if (level === undefined) {
    problems.push(`src/${file}: folder ${unit} has no level; give it one in test/levels.ts`)
    continue
  }
  const text = readFileSync(join(source, file), "utf8")
  const targets: Array<string> = []
  for (const match of text.matchAll(importPattern)) {
    const specifier = match[1]!
    if (!specifier.startsWith(".")) {
      if (bare(unit) && !specifier.startsWith("node:")) {
        crossings.push(`src/${file}: ${unit} is loaded by request threads and imports ${specifier}`)
      }
      continue
    }
    if (specifier.endsWith("/package.json")) continue // beside the sources, not one of them
    const target = relative(source, join(source, dirname(file), specifier))
    if (!existsSync(join(source, target))) {
      problems.push(`src/${file}: imports ${specifier}, which does not exist`)
      continue
    }
    targets.push(target)
    const targetUnit = unitOf(target)
    if (targetUnit === unit) continue
    const [wing, targetWing] = [wingOf(unit), wingOf(targetUnit)]
    if (wing !== undefined && targetWing !== undefined && wing !== targetWing) {
      crossings.push(`src/${file} (${wing} plane) imports ${target} of the other plane`)
      continue
    }
    if (bare(unit) && !bare(targetUnit)) {
      crossings.push(`src/${file}: ${unit} is loaded by request threads and imports ${target}`)
      continue
    }
    const targetLevel = levels[targetUnit]
    if (targetLevel === undefined || targetLevel >= level) {
      problems.push(
        `src/${file} (${unit}, level ${level}) imports ${target} (level ${targetLevel ?? "none"})`
      )
    }
  }
  graph.set(file, targets)
}

const state = new Map<string, "visiting" | "done">()
const visit = (file: string, trail: ReadonlyArray<string>): void => {
  if (state.get(file) === "done") return
  if (state.get(file) === "visiting") {
    problems.push(`cycle: ${[...trail.slice(trail.indexOf(file)), file].join(" → ")}`)
    return
  }
  state.set(file, "visiting")
  for (const target of graph.get(file) ?? []) visit(target, [...trail, file])
  state.set(file, "done")
}
for (const file of graph.keys()) visit(file, [])

for (const problem of [...crossings, ...problems]) console.error(problem)
console.log(
  `levels: ${files.length} files, ${problems.length} problems, ${crossings.length} crossings`
)
process.exit(problems.length + crossings.length === 0 ? 0 : 1)
