import { existsSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { meshFile, presentMeshFile, threadFile } from "./ThreadFile.ts"

describe("the code of threads", () => {
  it("is beside the sources, or beside what was built", () => {
    const of = (here: string) => [meshFile(here).pathname, threadFile(here).pathname]
    expect(of("file:///skein/src/node/ThreadFile.ts")).toEqual([
      "/skein/src/meshThread.ts",
      "/skein/src/request/thread.ts"
    ])
    const built = ["/skein/dist/mesh.js", "/skein/dist/request.js"]
    expect(of("file:///skein/dist/mod.js")).toEqual(built)
    expect(of("file:///skein/dist/chunks/chunk-ABC.js")).toEqual(built)
    // A directory of that name further up says nothing.
    expect(threadFile("file:///opt/chunks/skein/dist/skein.js").pathname).toBe(
      "/opt/chunks/skein/dist/request.js"
    )
    expect(existsSync(threadFile())).toBe(true)
  })

  it("is there, or the error says what belongs where", () => {
    expect(presentMeshFile().pathname).toMatch(/\/src\/meshThread\.ts$/)
    const bundle = () => presentMeshFile("file:///nowhere/program.js")
    expect(bundle).toThrow(
      /\/nowhere\/mesh\.js; .*--external:skein.*copy mesh\.js and request\.js from node_modules\/skein\/dist/
    )
    expect(() => meshFile("file:///nowhere/program.js")).not.toThrow()
  })
})
