// The server: requests, uploads, jobs. Every failure comes as an Error whose message can be shown.

const FILES_AT_ONCE = 100;

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    if (options.signal?.aborted) throw new Error("cancelled");
    throw new Error("The server does not answer; is atomsight serve still running?");
  }
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || `The server answers ${answer.status}.`);
  return body;
}

export const get = (path) => ask(path);
export const remove = (path) => ask(path, { method: "DELETE" });
export const post = (path, body) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Let go of a job when the page is left; nobody could ask for it any more. */
export const abandon = (job) => fetch(`/api/jobs/${job}`, { method: "DELETE", keepalive: true }).catch(() => null);

/** Send files in portions; `tell` receives how many are sent, `signal` ends it. Of what fails nothing stays. */
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

/** Watch a job; `tell` receives each status. Gives back the last one. */
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
      reject(new Error("The server does not answer; is atomsight serve still running?"));
    };
  });
}
