import { expect, it } from "vitest"
import type { ActorsStatus } from "../admin/ActorsModel.ts"
import { renderActors } from "./actors.ts"

const nobody: ActorsStatus = {
  types: [],
  nodes: { answered: ["host-a"], silent: [] },
  withheld: []
}
const showing = { colour: false, now: 0 }

it("says that capitals count where one type is asked for, and its hosts tell of others", () => {
  expect(renderActors({})(nobody, showing)).toBe(
    "No actors: no program of the mesh has told of any.\n"
  )
  expect(renderActors({ type: "cart" })(nobody, showing)).toMatch(
    /^No program of the mesh has told of actors of the type cart; capitals count .*`skein actors`/
  )
})
