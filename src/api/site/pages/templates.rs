//! The templates and the stylesheet, as they are in the files beside this one.

/// Pages, then the parts that they are made of.
pub(crate) const TEMPLATES: [(&str, &str); 17] = [
    ("register", include_str!("templates/register.html")),
    ("registered", include_str!("templates/registered.html")),
    ("token", include_str!("templates/token.html")),
    ("token_made", include_str!("templates/token_made.html")),
    ("login", include_str!("templates/login.html")),
    ("dashboard", include_str!("templates/dashboard.html")),
    ("store", include_str!("templates/store.html")),
    ("retrieve", include_str!("templates/retrieve.html")),
    ("update", include_str!("templates/update.html")),
    ("delete", include_str!("templates/delete.html")),
    ("problem", include_str!("templates/problem.html")),
    ("head", include_str!("templates/head.html")),
    ("foot", include_str!("templates/foot.html")),
    ("summary", include_str!("templates/summary.html")),
    ("form", include_str!("templates/form.html")),
    ("field", include_str!("templates/field.html")),
    ("attributes", include_str!("templates/attributes.html")),
];

/// The stylesheet of all pages.
pub(crate) const STYLE: &str = include_str!("style.css");
