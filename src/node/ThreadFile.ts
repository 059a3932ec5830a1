/**
 * Where the code of a request thread is: beside the sources when they run as they are, in the build
 * as a file of its own, which loads nothing of the mesh plane.
 */
export const threadFile = (here: string = import.meta.url): URL => {
  if (here.endsWith(".ts")) return new URL("../request/thread.ts", here)
  // The build has it at dist/request.js, and this in dist/ itself or in dist/chunks/.
  return new URL(/\/chunks\/[^/]+$/.test(here) ? "../request.js" : "./request.js", here)
}
