/* 病历守护 · emrvault: conveniences only. Every page is complete without this file.
   Floor: Chromium 86. No inline handlers, no eval: the pages run under a strict CSP. */
(function () {
  'use strict';
  var root = document.documentElement;

  function each(selector, fn) { Array.prototype.forEach.call(document.querySelectorAll(selector), fn); }
  function remember(name, value) {
    var secure = location.protocol === 'https:' ? '; Secure' : '';
    document.cookie = name + '=' + value + '; Path=/; Max-Age=31536000; SameSite=Lax' + secure;
  }
  function dark() {
    if (root.dataset.theme !== 'auto') return root.dataset.theme === 'dark';
    return matchMedia('(prefers-color-scheme: dark)').matches;
  }

  /* Theme: the server reads the cookie, so that the next page comes in the right colours at once. */
  each('[data-theme-switch]', function (form) {
    form.addEventListener('submit', function (e) {
      e.preventDefault();
      root.dataset.theme = dark() ? 'light' : 'dark';
      remember('theme', root.dataset.theme);
      drawings.forEach(function (draw) { draw(); });
    });
  });

  /* "/" leads to the search field, unless somebody is typing. */
  addEventListener('keydown', function (e) {
    var field = document.getElementById('q'), at = document.activeElement;
    if (e.key !== '/' || !field || e.ctrlKey || e.metaKey || e.altKey) return;
    if (at && (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.isContentEditable)) return;
    e.preventDefault();
    field.focus();
  });

  /* Open menus close with Escape and with a click elsewhere. */
  addEventListener('keydown', function (e) { if (e.key === 'Escape') each('details.who[open]', function (d) { d.open = false; }); });
  addEventListener('click', function (e) { each('details.who[open]', function (d) { if (!d.contains(e.target)) d.open = false; }); });

  /* Buttons that need a script are hidden until there is one. */
  each('[data-script]', function (el) { el.hidden = false; });

  document.addEventListener('click', function (e) {
    var button = e.target.closest ? e.target.closest('[data-print],[data-copy],[data-reveal]') : null;
    if (!button) return;
    if ('print' in button.dataset) print();
    if ('copy' in button.dataset) copy(button);
    if ('reveal' in button.dataset) reveal(button);
  });

  function copy(button) {
    var from = document.getElementById(button.dataset.copy);
    if (!from) return;
    var done = function () { button.setAttribute('aria-label', button.dataset.done); button.classList.add('t-ok'); };
    if (navigator.clipboard) { navigator.clipboard.writeText(from.textContent).then(done, function () { select(from); }); } else { select(from); }
  }
  function select(node) {
    var range = document.createRange();
    range.selectNodeContents(node);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }
  function reveal(button) {
    var field = document.getElementById(button.dataset.reveal);
    if (!field) return;
    field.type = field.type === 'password' ? 'text' : 'password';
    button.setAttribute('aria-pressed', field.type === 'text' ? 'true' : 'false');
  }

  /* A form that starts something is sent once, however often the button is pressed. */
  addEventListener('submit', function (e) {
    var form = e.target;
    if (e.defaultPrevented || !form.dataset || !('once' in form.dataset)) return;
    if (form.dataset.once === 'sent') { e.preventDefault(); return; }
    form.dataset.once = 'sent';
    Array.prototype.forEach.call(form.querySelectorAll('button'), function (b) { b.setAttribute('aria-disabled', 'true'); });
  });
  addEventListener('pageshow', function (e) { if (e.persisted) each('form[data-once]', function (f) { f.dataset.once = ''; }); });

  /* The log of a running job stays at its end while the reader is there. */
  document.addEventListener('htmx:afterSwap', function (e) {
    var log = e.target.querySelector ? (e.target.matches('.log') ? e.target : e.target.querySelector('.log')) : null;
    if (log) log.scrollTop = log.scrollHeight;
  });
  document.addEventListener('htmx:responseError', function () {
    var alert = document.getElementById('alert');
    if (alert) { alert.textContent = alert.dataset.failed; alert.hidden = false; }
  });

  /* Growth charts: the server draws the picture and the table; with uPlot at hand the
     same table becomes a chart that answers to the pointer. */
  var drawings = [];
  addEventListener('DOMContentLoaded', function () { each('[data-plot]', plot); }); // uPlot comes after this file
  function plot(box) {
    var table = document.getElementById(box.dataset.plot), heads, rows, xs = [], ys = [], chart;
    if (!table || !window.uPlot) return;
    heads = table.querySelectorAll('thead th');
    rows = table.querySelectorAll('tbody tr');
    if (rows.length < 2) return;
    Array.prototype.forEach.call(rows, function (row) {
      xs.push(Date.parse(row.cells[0].querySelector('time').dateTime) / 1000);
      for (var i = 1; i < row.cells.length; i++) (ys[i - 1] = ys[i - 1] || []).push(+row.cells[i].dataset.v);
    });
    function colour(name) { return getComputedStyle(root).getPropertyValue(name).trim(); }
    function day(s) { var d = new Date(s * 1000); return (d.getMonth() + 1) + '/' + d.getDate(); }
    function draw() {
      var font = '12px sans-serif', unit = box.dataset.unit || '', inks = ['--info', '--brand'];
      var axis = { stroke: colour('--ink-3'), font: font, ticks: { show: false } };
      if (chart) chart.destroy();
      box.textContent = '';
      chart = new window.uPlot({
        width: box.clientWidth, height: 218, cursor: { y: false },
        scales: { y: { range: function (u, min, max) { return [0, max > 0 ? max * 1.15 : 1]; } } },
        axes: [
          Object.assign({}, axis, { grid: { show: false }, space: 80, values: function (u, vs) { return vs.map(day); } }),
          Object.assign({}, axis, { size: 52, grid: { stroke: colour('--line-2'), width: 1 }, values: function (u, vs) { return vs.map(function (v) { return String(+v.toFixed(2)); }); } })
        ],
        series: [{ label: heads[0].textContent, value: function (u, v) { return v ? day(v) : '—'; } }].concat(ys.map(function (_, i) {
          var ink = colour(inks[i % inks.length]);
          return { label: heads[i + 1].textContent, stroke: ink, width: 2, fill: ink + '1c', points: { show: false }, value: function (u, v) { return v === null || v === undefined ? '—' : +v.toFixed(2) + ' ' + unit; } };
        }))
      }, [xs].concat(ys), box);
    }
    drawings.push(draw);
    draw();
    addEventListener('resize', draw);
  }
})();
