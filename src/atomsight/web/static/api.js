// Requests to the server, uploads, jobs. Every failure is an Error with a message for the user.

const FILES_AT_ONCE = 100;

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    if (options.signal?.aborted) throw new Error("cancelled");
    throw new Error("The server does not respond. Is atomsight serve still running?");
  }
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || `The server responded with status ${answer.status}.`);
  return body;
}

export const get = (path) => ask(path);
export const remove = (path) => ask(path, { method: "DELETE" });
export const post = (path, body) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Delete a job when the page is closed, because its results are no longer accessible. */
export const abandon = (job) => fetch(`/api/jobs/${job}`, { method: "DELETE", keepalive: true }).catch(() => null);

/** Upload files in portions. `tell` receives the number of files sent, `signal` cancels. A failed upload is deleted. */
export async function upload(files, tell, signal) {
  let to = null;
  try {
    await portions();
  } catch (error) {
    if (to) await remove(`/api/uploads/${to}`).catch(() => null);
    throw error;
  }
  return to;

  async function portions() {
    for (let start = 0; start < files.length; start += FILES_AT_ONCE) {
      const form = new FormData();
      for (const file of files.slice(start, start + FILES_AT_ONCE)) {
        form.append("files", file, file.place || file.webkitRelativePath || file.name);
      }
      tell(start);
      const answer = await ask(`/api/uploads${to ? `?to=${encodeURIComponent(to)}` : ""}`, { method: "POST", body: form, signal });
      to = answer.upload;
    }
  }
}

/** Follow a job. `tell` receives each status; the last one is returned. */
export function watch(job, tell) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`/api/jobs/${job}/events`);
    let over = false;
    events.onmessage = ({ data }) => {
      const status = JSON.parse(data);
      over = ["done", "failed", "cancelled"].includes(status.state);
      if (over) events.close();
      tell(status);
      if (over) resolve(status);
    };
    events.onerror = () => {
      if (over) return;
      events.close();
      reject(new Error("The server does not respond. Is atomsight serve still running?"));
    };
  });
}
