/** What README and docs/metrics.md say to type at the admin address gives what they say it gives. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, root, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const written = "127.0.0.1:4191"
const read = (file: string) => readFileSync(join(root, file), "utf8")

interface Example {
  readonly command: string
  readonly answer: string
}

/** `$ curl …` and what stands below it, up to an empty line or the next one. */
const examplesIn = (text: string): ReadonlyArray<Example> =>
  [...text.matchAll(/^\$ (curl .*(?:4191|admin\.sock).*)\n((?:(?!\$ |```|\n).*\n)*)/gm)].map(
    ([, command = "", answer = ""]) => ({ command, answer: answer.trim() })
  )

const mesh = new TestMesh()
let app: App
let a: Host

beforeAll(async () => {
  app = await httpApp("web")
  a = await mesh.first("host-a")
  await mesh.join("host-b", { services: [{ name: "web", address: app.address }] })
  await until("host-a knows web and has a link", async () => {
    const links = JSON.stringify(await a.api("links"))
    const services = JSON.stringify(await a.api("services"))
    return services.includes('"healthy":1') && links.includes('"open"') ? true : undefined
  })
})

afterAll(async () => {
  await mesh.stop()
  await app.close()
  await stopAll()
})

/** As a shell would run it, but for the address and the data directory, which are others on every run. */
const typed = async ({ command }: Example) => {
  expect(command).toMatch(/127\.0\.0\.1:4191|admin\.sock/)
  const { code, stdout, stderr } = await run("sh", [
    "-c",
    command
      .replace("curl", program("curl"))
      .replace(written, a.admin)
      .replace(/\S+\/(?=admin\.(sock|token))/, `${a.dataDir}/`)
  ])
  expect(stderr).toBe("")
  expect(code).toBe(0)
  return stdout
}

/** `…` stands for what is left out. */
const parseAbridged = (text: string): unknown => JSON.parse(text.replaceAll(/,?…(?=[\]}])/g, ""))

/** Holds `real` to what is shown: all of its fields, by type, and by value where it has one. */
const expectLike = (real: unknown, shown: unknown, at = "$"): void => {
  if (Array.isArray(shown)) {
    if (!Array.isArray(real)) throw new Error(`${at} is no list`)
    expect(real.length, at).toBeGreaterThanOrEqual(shown.length)
    for (const [index, item] of shown.entries()) expectLike(real[index], item, `${at}[${index}]`)
    return
  }
  if (typeof shown === "object" && shown !== null) {
    const fields = Object.entries(shown)
    for (const [name, value] of fields) {
      const inner: unknown = Object.getOwnPropertyDescriptor(Object(real), name)?.value
      expectLike(inner, value, `${at}.${name}`)
    }
    return
  }
  if (typeof shown === "number" || (typeof shown === "string" && shown.includes("…"))) {
    expect(typeof real, at).toBe(typeof shown)
  } else expect(real, at).toEqual(shown)
}

describe("the examples", () => {
  it.each(examplesIn(read("README.md")))("of the README: $command", async (example) => {
    expect(await typed(example)).not.toBe("")
  })

  // In their order: the last one ends the node.
  it.each(examplesIn(read("docs/metrics.md")))("of docs/metrics.md: $command", async (example) => {
    const text = await typed(example)
    if (example.command.endsWith("/metrics")) {
      for (const line of example.answer.split("\n").filter((line) => line !== "…")) {
        expect(text.split("\n")).toContain(line)
      }
    } else expectLike(JSON.parse(text), parseAbridged(example.answer))
  })

  it("are there", () => {
    expect(examplesIn(read("README.md")).length).toBeGreaterThan(4)
    expect(examplesIn(read("docs/metrics.md")).length).toBe(31)
  })
})
